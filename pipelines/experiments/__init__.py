"""Many runs, or one on synthetic exams: the demo, sweeps, and the tables of the paper."""
