import ComputeOpenCL
import Dispatch
import Foundation

/// The process that tries OpenCL's drivers before the program itself relies on them. A driver can
/// crash, or never come back: here that costs a sentence.
enum DriverChild {
  /// Answers requests on standard input until it is closed, and ends the process, where the arguments
  /// ask for it; returns at once otherwise.
  static func runIfRequested(_ arguments: [String]) {
    guard arguments.count == 2, arguments[1] == DriverRequest.command else { return }
    confine()
    endWithTheParent()
    while let line = readLine() {
      guard let request = try? JSONDecoder().decode(DriverRequest.self, from: Data(line.utf8))
      else { exit(ExitStatus.defect.rawValue) }
      guard var bytes = try? JSONEncoder().encode(answer(to: request)) else {
        exit(ExitStatus.defect.rawValue)
      }
      bytes.append(UInt8(ascii: "\n"))
      send(bytes)
    }
    // What a driver does at a process's end is no longer anybody's concern.
    _exit(0)
  }

  private static func answer(to request: DriverRequest) -> DriverAnswer {
    switch request {
    case .survey:
      _ = OpenCLSurvey()
      return DriverAnswer()
    case .selfCheck(let key, let arithmetic):
      guard let device = find(key) else { return DriverAnswer(refusal: absence(of: key)) }
      return SelfCheckReport.answer(of: device, arithmetic)
    case .tensorCores(let key):
      guard let device = find(key) else { return DriverAnswer(refusal: absence(of: key)) }
      return DriverAnswer(tensorCores: TensorCores.probe(device))
    case .load(let library):
      return DriverAnswer(refusal: OpenCLDriverList.fault(of: library))
    }
  }

  private static func find(_ key: DeviceKey) -> OpenCLDeviceDescription? {
    OpenCLSurvey().devices.first { DeviceKey($0) == key }
  }

  private static func absence(of key: DeviceKey) -> String {
    "\(key.name) (gpu:\(key.index)) is not found again by a second process"
  }

  /// Signals as they are by default, since the parent ignores some; no core dumps.
  private static func confine() {
    for number in [SIGINT, SIGTERM, SIGPIPE, SIGXFSZ] { signal(number, SIG_DFL) }
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(Int32(RLIMIT_CORE.rawValue), &none)
  }

  /// Ends this process, and whatever compilers the driver has started, when the parent is gone, in
  /// the midst of a call too.
  private static func endWithTheParent() {
    DispatchQueue.global().async {
      var item = pollfd(fd: 0, events: 0, revents: 0)
      while poll(&item, 1, -1) < 1 {}
      if getpgrp() == getpid() { kill(0, SIGKILL) }
      _exit(0)
    }
  }

  private static func send(_ bytes: Data) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(0, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { _exit(1) }
      rest = rest.dropFirst(count)
    }
  }
}
