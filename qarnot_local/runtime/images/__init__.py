"""Runs what a docker image would run with the programs of this machine: an adapter for each kind of image."""
