"""Qarnot's API and storage. Only this package imports the SDK and its libraries (`qarnot`, `requests`, `boto3`)."""
