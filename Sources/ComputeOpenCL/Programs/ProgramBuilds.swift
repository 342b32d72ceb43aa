/// One program that a device was given: how it was built, and what that took.
public struct ProgramBuild: Sendable, Hashable, Codable {
  /// Of `Kernels/`, without their endings.
  public let files: [String]
  public let options: String
  /// Of `clBuildProgram`, and of making its kernels.
  public internal(set) var seconds: Double
  /// Whether its binary came from our own cache; what a platform keeps by itself does not show.
  public let isFromCache: Bool
}

/// What a device's programs cost since it was opened.
public struct ProgramBuilds: Sendable, Hashable, Codable {
  /// The slowest first.
  public let programs: [ProgramBuild]
  /// Of running each kernel once on nothing, in which some platforms compile.
  public let firstRunSeconds: Double

  public var seconds: Double { programs.reduce(0) { $0 + $1.seconds } }
}

extension OpenCLDevice {
  /// What was built on the device so far, for all plans.
  public var builds: ProgramBuilds { context.builds }
}
