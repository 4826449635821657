"""`python -m pipelines` is `mammoloop`."""

from pipelines.cli.main import process

if __name__ == "__main__":
    process()
