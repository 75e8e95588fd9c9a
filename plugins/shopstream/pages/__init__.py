"""The Data Quality section of Airflow's UI."""
