"""The APIs of the serving engines, one file for each."""
