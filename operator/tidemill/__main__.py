from tidemill.cli import main

main()
