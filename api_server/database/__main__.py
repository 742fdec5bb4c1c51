import sys

from api_server.database.command_line import main

sys.exit(main())
