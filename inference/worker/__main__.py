from inference.worker.server import main

main()
