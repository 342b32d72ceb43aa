import Compute
import ComputeOpenCL
import Foundation
import Testing

/// The device of these tests: the first of the machine's first platform that has one. Which
/// platform that is, `OCL_ICD_VENDORS` says.
enum TestDevice {
  static let all: [OpenCLDeviceDescription] = (try? OpenCLDeviceDescription.all()) ?? []
  static var isPresent: Bool { !all.isEmpty }

  /// One for all tests, so that each kernel is built once.
  private static let opened: Result<OpenCLDevice, any Error> = Result {
    try OpenCLDevice(try #require(all.first, "no OpenCL device: install pocl-opencl-icd"))
  }

  private static let specialized: Result<OpenCLDevice, any Error> = Result {
    try OpenCLDevice(opened.get().description, options: OpenCLDevice.Options(specializes: true))
  }

  private static let half: Result<OpenCLDevice, any Error> = Result {
    try OpenCLDevice(opened.get().description, arithmetic: OpenCLDevice.Arithmetic(.fp16))
  }

  private static let nativeHalf: Result<OpenCLDevice, any Error> = Result {
    try OpenCLDevice(opened.get().description, arithmetic: OpenCLDevice.Arithmetic(.fp16, .native))
  }

  /// In half precision, by a path of `halfPaths`.
  static func openHalf(_ path: OpenCLDevice.HalfPath = .storage) throws -> OpenCLDevice {
    try path == .native ? nativeHalf.get() : half.get()
  }

  /// Those that the device has.
  static var halfPaths: [OpenCLDevice.HalfPath] {
    all.first.map(OpenCLDevice.halfPaths) ?? [.storage]
  }

  /// - Parameter specializes: with kernels built for each shape, as on a GPU.
  static func open(specializes: Bool = false) throws -> OpenCLDevice {
    try specializes ? specialized.get() : opened.get()
  }

  /// One with its own choices, and with builds of its own.
  static func open(options: OpenCLDevice.Options) throws -> OpenCLDevice {
    try OpenCLDevice(try #require(all.first), options: options)
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips where the machine has no OpenCL device; in CI that is a failure.
  static var needsOpenCL: Self {
    .enabled(
      if: TestDevice.isPresent || ProcessInfo.processInfo.environment["CI"] == "true",
      "no OpenCL device on this machine")
  }
}
