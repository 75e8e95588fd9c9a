"""The Airflow side of Shopstream: operators, hooks and judgements behind the DAGs. Never imports pyspark."""
