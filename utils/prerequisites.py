"""What has to be there before anything else is imported: a Python that is new enough, and the
packages of requirements.txt.

Whoever calls the tool outside its virtual environment, or with the system's old Python, is told
so in a sentence. Any Python 3 from 3.6 on must be able to read this file, and migrate.py.
"""

import sys
from importlib.util import find_spec

OLDEST = (3, 10)
# What requirements.txt installs, by the names under which it is imported; each is needed by some
# way through the tool, and a run that has begun is no time to miss one.
PACKAGES = {
    "boto3": "boto3",
    "click": "click",
    "cryptography": "cryptography",
    "isal": "isal",
    "Jinja2": "jinja2",
    "jsonschema-rs": "jsonschema_rs",
    "jsonschema": "jsonschema",
    "MarkupSafe": "markupsafe",
    "mysql-replication": "pymysqlreplication",
    "orjson": "orjson",
    "psycopg2-binary": "psycopg2",
    "pycountry": "pycountry",
    "PyMySQL": "pymysql",
    "pyrage": "pyrage",
    "python-dotenv": "dotenv",
    "python-stdnum": "stdnum",
    "referencing": "referencing",
    "starlette": "starlette",
    "tqdm": "tqdm",
    "tzdata": "tzdata",
    "urllib3": "urllib3",
    "uvicorn": "uvicorn",
    "watchtower": "watchtower",
}


def require() -> None:
    """Leave with what to do, and exit code 1, unless everything is there."""
    if sys.version_info < OLDEST:
        sys.exit(
            "Error: this needs Python {}.{} or newer, and {} is {}.{}\n"
            "What to do: python{}.{} -m venv .venv && . .venv/bin/activate && "
            "pip install -r requirements.txt".format(
                *OLDEST, sys.executable, *sys.version_info[:2], *OLDEST
            )
        )
    missing = [name for name, module in PACKAGES.items() if find_spec(module) is None]
    if missing:
        sys.exit(
            "Error: {} lacks packages that this needs: {} missing\nWhat to do: activate the "
            "virtual environment in which they are installed (. .venv/bin/activate), or install "
            "them: pip install -r requirements.txt".format(
                sys.executable, ", ".join(missing) + (" is" if len(missing) == 1 else " are")
            )
        )
