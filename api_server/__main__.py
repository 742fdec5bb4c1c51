from api_server.server import main

main()
