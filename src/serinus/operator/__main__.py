"""`python -m serinus.operator`: the operator without the command line around it."""

import sys

from serinus.operator.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
