import Compute
import Foundation
import Kernels

/// How long training steps take on a device in each way of computing, as `semg-train tune` timed
/// them: what `--precision auto` goes by.
public struct PrecisionTimes: Codable, Sendable, Hashable {
  /// One way, which passes the device's self-check.
  public struct Time: Codable, Sendable, Hashable {
    public let arithmetic: OpenCLDevice.Arithmetic
    /// A step of each network that was timed, together.
    public let milliseconds: Double

    public init(_ arithmetic: OpenCLDevice.Arithmetic, milliseconds: Double) {
      self.arithmetic = arithmetic
      self.milliseconds = milliseconds
    }
  }

  /// Samples a step.
  public let batchSize: Int
  public let times: [Time]

  /// Half precision must be so much faster than single to take its place.
  private static let gain = 0.98

  public init(batchSize: Int, times: [Time]) {
    self.batchSize = batchSize
    self.times = times
  }

  /// The time of the fastest way in a precision; nil where none was timed.
  public func fastest(_ precision: Precision) -> Time? {
    times.filter { $0.arithmetic.precision == precision }.min { $0.milliseconds < $1.milliseconds }
  }

  /// The fastest way of all: half precision only where it is faster than single.
  public var best: Time? {
    guard let single = fastest(.fp32) else { return nil }
    guard let half = fastest(.fp16), half.milliseconds < Self.gain * single.milliseconds else {
      return single
    }
    return half
  }

  // MARK: On disk

  /// What was found on a device, with this version of the kernels; nil where nothing was.
  public static func kept(for description: OpenCLDeviceDescription) -> PrecisionTimes? {
    file(for: description)?.findings
  }

  /// Keeps them for later runs on this device.
  ///
  /// - Returns: the file; nil where `SEMG_OPENCL_CACHE=0` says that nothing is to be kept, or there
  ///   is no home.
  /// - Throws: where it cannot be written.
  public func store(for description: OpenCLDeviceDescription) throws -> URL? {
    let file = Self.file(for: description)
    try file?.write(self)
    return file?.url
  }

  private static func file(
    for description: OpenCLDeviceDescription
  ) -> TuningFile<PrecisionTimes>? {
    TuningFile.standard(
      folder: "precisions", description: description, kernels: Kernels.files)
  }
}
