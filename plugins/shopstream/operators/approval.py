"""A person's word on a run that the gate has refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

log = logging.getLogger(__name__)

# Who has answered, for the command line of the job that acts on it; nobody, as far as Airflow knows, at a time-out.
ANSWERED_BY = "{{ ((ti.xcom_pull(task_ids='%s') or {}).get('responded_by_user') or {}).get('name') or 'somebody' }}"


class PromotionApproval(ApprovalOperator):
    """Asks whether a run is promoted all the same; skipped, like what follows, where the gate has refused nothing.

    In a backfill nobody is asked: it is not to wait for people. The run can be repeated by hand, and then asks.

    Args:
        gate: Task whose result says `refused` and `reason`; see `spark_jobs.jobs.promote`.
        kwargs: As for `ApprovalOperator`; without an answer in time, `defaults` decides.
    """

    def __init__(self, *, gate: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate

    def execute(self, context: Context) -> Any:
        """Ask, or skip."""
        verdict: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.gate) or {}
        if not verdict.get("refused"):
            raise AirflowSkipException(f"nothing to approve: {verdict.get('reason') or 'there is no verdict'}")
        if context["dag_run"].run_type == "backfill":
            raise AirflowSkipException(
                f"refused in a backfill, so nobody is asked: {verdict['reason']} (trigger the DAG with "
                f"as_of={verdict['as_of']} to be asked)"
            )
        self.body = f"The gate has refused it: {verdict['reason']}"
        log.info("%s. Answer in the UI under Required Actions", self.body)
        return super().execute(context)
