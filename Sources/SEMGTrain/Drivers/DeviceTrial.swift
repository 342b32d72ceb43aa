import Compute
import ComputeOpenCL

/// An OpenCL device opened and checked, twice over: what a start costs where the kernels may have to
/// be built, and where they have just been. Each time in a process of its own.
struct DeviceTrial {
  /// Of opening the device and checking it.
  private(set) var startSeconds: Double?
  /// The same at once again, with nothing kept in memory.
  private(set) var warmStartSeconds: Double?
  /// Why the device is not to be used; nil where it passes.
  private(set) var fault: String?
  /// In half precision: why each path is not to be used, nil where it passes, and what its check
  /// built.
  private(set) var halfFaults:
    [(path: OpenCLDevice.HalfPath, fault: String?, builds: ProgramBuilds?)] = []
  /// What the first check built; nil where it did not come to its end.
  private(set) var builds: ProgramBuilds?

  init(_ description: OpenCLDeviceDescription, trials: DriverTrials) {
    if let fault = description.fault {
      self.fault = "\(description.title) cannot be used: \(fault)"
      return
    }
    let clock = ContinuousClock()
    func check() -> (answer: DriverAnswer, seconds: Double) {
      trials.end()
      let start = clock.now
      let answer = trials.selfCheck(description, OpenCLDevice.Arithmetic(.fp32))
      return (answer, start.duration(to: clock.now) / .seconds(1))
    }
    let first = check()
    (fault, builds) = (first.answer.refusal, first.answer.builds)
    startSeconds = first.seconds
    guard fault == nil else { return }
    warmStartSeconds = check().seconds
    halfFaults = OpenCLDevice.halfPaths(of: description).map { path in
      let answer = trials.selfCheck(description, OpenCLDevice.Arithmetic(.fp16, path))
      return (path, answer.refusal, answer.builds)
    }
  }
}
