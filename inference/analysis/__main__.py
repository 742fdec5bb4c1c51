from inference.analysis.server import main

main()
