import Artifacts
import Foundation

/// Tries what the reading process must not be able to do, once it is confined.
enum Escapes {
  /// With the arguments `escape FILE FOLDER`: tries, writes what succeeded, a name each line, and then
  /// `end`. `FILE` is there and may be lost; in `FOLDER` nothing is called `new`.
  static func tryIfRequested(_ arguments: [String]) {
    guard arguments.count == 4, arguments[1] == "escape" else { return }
    let (file, folder) = (arguments[2], arguments[3])
    // As an earlier library of the program's might have left it open.
    let left = open(file, O_RDONLY)
    HDF5Child.confine(memory: 4 << 30, seconds: 60)
    // One number is free again: the limit on open files would let one be opened.
    close(2)
    var byte: UInt8 = 0
    var program: pid_t = 0
    var none: [UnsafeMutablePointer<CChar>?] = [nil]
    let attempts: [(String, () -> Bool)] = [
      ("read a file left open", { read(left, &byte, 1) >= 0 }),
      ("open a file", { open(file, O_RDONLY) >= 0 }),
      ("open a socket", { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) >= 0 }),
      ("look at a file", { access(file, R_OK) == 0 }),
      ("make a folder", { mkdir(folder + "/new", 0o777) == 0 }),
      ("rename a file", { rename(file, folder + "/new") == 0 }),
      ("remove a file", { unlink(file) == 0 }),
      ("signal its parent", { kill(getppid(), 0) == 0 }),
      ("start a program", { posix_spawn(&program, "/bin/true", nil, nil, &none, &none) == 0 }),
    ]
    for (name, attempt) in attempts where attempt() { say(name) }
    say("end")
    execv("/bin/true", &none)
    exit(0)
  }

  private static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
  }
}
