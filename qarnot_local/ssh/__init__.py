"""The SSH server of a running task: logins, shells, SFTP, forwarded ports."""
