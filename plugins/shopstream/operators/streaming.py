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
            `stop`: end it; scheduled runs leave it stopped until somebody runs one of the others by hand.
            `rebuild`: end it, set its checkpoint aside, and launch it to read the whole topic again.
        accept_data_loss: Whether to go on without records that expired in Kafka before they were read. Templated;
            "True" means yes.

    Returns (XCom) the check as written to `stream_health`.

    Raises:
        AirflowFailException: The environment is malformed, or the action unknown. No retry.
        AirflowException: A driver did not come up, or MongoDB or Kafka do not answer.
    """

    template_fields: Sequence[str] = ("action", "accept_data_loss")
    ui_color = "#d9e8f5"

    def __init__(self, *, action: str = "ensure", accept_data_loss: str = "False", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.accept_data_loss = accept_data_loss

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
                return lifecycle.run(
                    action,
                    by_hand=run.run_type == "manual",
                    run_id=run.run_id,
                    accept_data_loss=self.accept_data_loss == "True",
                )
        except (JobRuntimeError, StoreError, StreamError) as error:
            raise AirflowException(str(error)) from None
