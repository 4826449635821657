"""Continuous retraining: the plan, what is known when it is looked at, the decision, the gate, the registry."""
