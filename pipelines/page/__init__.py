"""A run's page and its tables, put together from the run's finished stages."""
