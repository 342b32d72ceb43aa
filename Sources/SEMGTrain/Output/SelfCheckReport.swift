import Compute
import ComputeOpenCL
import Parity

/// What a device's self-check found, in words.
struct SelfCheckReport {
  let failures: [ParityResult]

  init(_ device: any Device, isBrief: Bool = false) {
    failures = SelfCheck.failures(of: device, isBrief: isBrief)
  }

  init(failures: [ParityResult]) { self.failures = failures }

  /// Why the device cannot be trusted, naming the operations; nil where it passes.
  func refusal(of device: OpenCLDeviceDescription) -> String? {
    refusal(of: device.title, index: device.index)
  }

  func refusal(of title: String, index: Int) -> String? {
    guard let first = failures.first, let miss = first.misses.first else { return nil }
    let more = failures.count > 1 ? " and \(Figure.count(failures.count - 1, "other case"))" : ""
    let size = first.shape.isEmpty ? "" : ", \(first.shape)"
    let what =
      first.error == nil
      ? "fails its self-check at \(first.name)\(size)\(more): \(miss)"
      : "computes wrongly, at \(first.name)\(size)\(more): \(miss)"
    return Self.refusal(of: title, index: index, what: what)
  }

  /// What is wrong with a device, and what to do about it.
  static func refusal(of title: String, index: Int, what: String) -> String {
    "\(title) \(what). Not used; semg-train parity --device gpu:\(index) checks "
      + "everything, --device cpu trains without it"
  }

  /// The self-check of a device, in this process, with kernels that serve all shapes: a dozen
  /// programs, where each layer's own would be many more.
  static func answer(
    of description: OpenCLDeviceDescription, _ arithmetic: OpenCLDevice.Arithmetic
  ) -> DriverAnswer {
    var options = OpenCLDevice.usualOptions(for: description, arithmetic)
    options.specializes = false
    do throws(DeviceError) {
      let device = try OpenCLDevice(description, options: options)
      let refusal = SelfCheckReport(device).refusal(of: description)
      return DriverAnswer(
        refusal: refusal, tensorCores: device.tensorCores, builds: device.builds)
    } catch {
      return DriverAnswer(refusal: "\(error)")
    }
  }

  /// Looks at a device in passing.
  ///
  /// - Throws: `DeviceError.computesWrongly`.
  static func checkAfterUpload(_ device: OpenCLDevice) throws(DeviceError) {
    let report = SelfCheckReport(device, isBrief: true)
    guard let first = report.failures.first, let miss = first.misses.first else { return }
    throw .computesWrongly(
      device: device.name,
      what: "once the recordings are uploaded it fails at \(first.name), \(first.shape): \(miss)")
  }
}
