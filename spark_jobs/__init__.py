"""The Spark side of Shopstream: streaming, batch, replay and data-quality jobs. Never imports Airflow."""
