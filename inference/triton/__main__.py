from inference.triton.cli import main

main()
