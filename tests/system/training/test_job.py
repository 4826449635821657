import json
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from system.training.job import EpochPool, TrainJob

MakeJob = Callable[..., TrainJob]


def test_a_job_travels_as_json_and_the_epochs_of_its_pools_stay_numbers(make_job: MakeJob) -> None:
    pools = {0: EpochPool(file="/pools/1.arrow", p0=0.95), 5: EpochPool(file="/pools/2.arrow", p0=0.85)}
    job = make_job(pools=pools, start="/run/stage1/checkpoint", outlined="/pools/outlined.parquet")
    arrived = TrainJob.model_validate(json.loads(json.dumps(job.model_dump(mode="json"))))
    assert arrived == job
    assert list(arrived.pools) == [0, 5]


def test_a_job_on_strong_data_alone_needs_no_pools_and_no_start(make_job: MakeJob) -> None:
    job = make_job()
    assert (job.pools, job.start, job.outlined) == ({}, "", "")


def test_a_key_that_a_job_does_not_have_is_refused(make_job: MakeJob) -> None:
    with pytest.raises(ValidationError, match="loader_workers"):
        make_job(loader_workers=2)
