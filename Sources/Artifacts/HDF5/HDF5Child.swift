import CConfinement
import CHDF5
import Foundation

/// The process that reads HDF5 files for us. libhdf5 has known faults on hostile files, so it runs
/// where a crash or endless loop costs nothing: in a process of its own under limits of memory and
/// time, which says what it found over a socket, and which the kernel refuses all else: files,
/// network, other programs and processes.
public enum HDF5Child {
  /// Why the kernel cannot refuse it all that here; nil where it can. Limits of memory, time and open
  /// files hold all the same.
  public static var confinementFault: String? {
    let code = confinement_fault()
    return code == 0 ? nil : AtomicFile.message(code)
  }

  /// Serves one file and ends the process when the arguments ask for it; returns at once otherwise.
  /// A program that reads archives calls this before anything else.
  public static func runIfRequested(_ arguments: [String]) {
    guard arguments.count == 4, arguments[1] == HDF5Messages.command,
      let memory = UInt64(arguments[2]), let seconds = UInt64(arguments[3])
    else { return }
    confine(memory: memory, seconds: seconds)
    var channel = ChildChannel()
    channel.send(HDF5Messages.magic)
    do {
      let size = try channel.receive(UInt64.self)
      let image = try channel.receive(count: Int(clamping: size))
      try HDF5FileReader.serve(image, &channel)
    } catch {
      var message = MessageWriter()
      message.append(HDF5Messages.refusal)
      message.append(error.reason)
      channel.send(message.bytes)
    }
    exit(0)
  }

  /// Bounds on address space, processor time, files and core dumps; then no call to the kernel but
  /// what reading needs.
  package static func confine(memory: UInt64, seconds: UInt64) {
    func limit(_ resource: __rlimit_resource, _ value: UInt64) {
      var bound = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
      setrlimit(Int32(resource.rawValue), &bound)
    }
    limit(RLIMIT_AS, memory)
    limit(RLIMIT_CPU, seconds)
    limit(RLIMIT_CORE, 0)
    limit(RLIMIT_FSIZE, 0)
    // No descriptor above the three standard ones: links to other files cannot be followed even
    // if a check were missed.
    limit(RLIMIT_NOFILE, 3)
    H5PLset_loading_state(0)
    H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)
    // Where the kernel will not, the limits above are what there is: `--version` says so.
    _ = confine_process()
  }
}

/// Why the child refuses a file.
struct HDF5Refusal: Error { let reason: String }

/// The child's end of the socket, on its standard input.
struct ChildChannel {
  mutating func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { send($0) } }

  mutating func send(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < bytes.count {
      let count = write(0, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
      if count < 0 && errno == EINTR { continue }
      // The parent is gone: nobody is left to answer.
      guard count > 0 else { exit(1) }
      offset += count
    }
  }

  mutating func receive<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type)
    throws(HDF5Refusal) -> Value
  {
    let bytes = try receive(count: MemoryLayout<Value>.size)
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
  }

  mutating func receive(count: Int) throws(HDF5Refusal) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var offset = 0
    while offset < count {
      let received = bytes.withUnsafeMutableBytes {
        read(0, $0.baseAddress?.advanced(by: offset), count - offset)
      }
      if received < 0 && errno == EINTR { continue }
      guard received > 0 else { exit(1) }
      offset += received
    }
    return bytes
  }
}
