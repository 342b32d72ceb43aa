import Artifacts
import Foundation

// The reading process alone, for tests, whose runner cannot be started again with a hidden command.
HDF5Child.runIfRequested(CommandLine.arguments)
Escapes.tryIfRequested(CommandLine.arguments)
FileHandle.standardError.write(
  Data("semg-hdf5-reader is started by semg-train's tests; it has no use by itself.\n".utf8))
exit(64)
