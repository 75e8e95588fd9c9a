"""The house operator for the streaming application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from shopstream.config import Config, ConfigError
from shopstream.runtimes import stream_runtime
from shopstream.runtimes.base import JobRuntimeError
from shopstream.streaming.decision import Action
from shopstream.streaming.errors import StoreError, StreamError
from shopstream.streaming.lifecycle import Lifecycle


class StreamingLifecycleOperator(BaseOperator):
    """Keeps the streaming application as it should be; every check is written to `stream_health`.

    Args:
        action: What to do. Templated.
            `ensure`: launch it if absent, relaunch it if dead, stalled or outdated, leave a healthy one alone.
            `restart`: end it after its running micro-batch and launch it.
            `stop`: end it; scheduled runs leave it stopped until somebody runs `ensure` or `restart` by hand.

    Returns (XCom) the check as written to `stream_health`.

    Raises:
        AirflowFailException: The environment is malformed, or the action unknown. No retry.
        AirflowException: A driver did not come up, or MongoDB or Kafka do not answer.
    """

    template_fields: Sequence[str] = ("action",)
    ui_color = "#d9e8f5"

    def __init__(self, *, action: str = "ensure", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action = action

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the application and act."""
        # The clients of Kafka and MongoDB take more than a second to import, which parsing the DAG need not pay.
        from shopstream.streaming.lag import KafkaLag
        from shopstream.streaming.store import HealthStore

        try:
            config = Config.from_env()
            action = Action(self.action)
        except (ConfigError, ValueError) as error:
            raise AirflowFailException(str(error)) from None
        run = context["dag_run"]
        try:
            with HealthStore(config) as store:
                lifecycle = Lifecycle(config, store, KafkaLag(config), stream_runtime(config))
                return lifecycle.run(action, by_hand=run.run_type == "manual", run_id=run.run_id)
        except (JobRuntimeError, StoreError, StreamError) as error:
            raise AirflowException(str(error)) from None
