"""The tool with something wrong inside. at_work.py and defect.py are run as scripts: what is beside
them is found before Python's own modules, so nothing here may have the name of one."""
