from api_server.scheduler.server import main

main()
