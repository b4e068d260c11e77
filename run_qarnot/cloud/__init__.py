"""The edge to Qarnot: the only place that imports the SDK and its libraries (`qarnot`, `requests`, `boto3`)."""
