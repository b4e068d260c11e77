"""The S3 server: moto behind checks of signatures, payloads, names and quotas."""
