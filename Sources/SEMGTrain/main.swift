import Artifacts
import Foundation

// Nothing else stands at top level: code here is isolated to the main actor, and a signal handler
// made here would stop the program when the signal comes.
ProcessStart.begin()
HDF5Child.runIfRequested(CommandLine.arguments)
DriverChild.runIfRequested(CommandLine.arguments)
exit(runCommand(Array(CommandLine.arguments.dropFirst())))
