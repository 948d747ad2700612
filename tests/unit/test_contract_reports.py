"""What a run reports is read by the operator as it was written, also where a number was not asked for."""

import json

import pytest

from tidemill.contract.reports import Checked, RunReport


@pytest.mark.parametrize("labelled", [None, 0, 7])
def test_a_check_s_report_is_read_as_it_was_written(labelled: int | None) -> None:
    report = RunReport(checked=Checked(samples=301, labelled=labelled, verdict="Failing"))

    assert report == RunReport.model_validate(json.loads(report.to_message()))
