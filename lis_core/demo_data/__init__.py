"""Content of the demonstration laboratory: plain data, loaded by `lis_core.demo`."""
