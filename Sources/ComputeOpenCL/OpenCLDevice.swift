import Compute

/// Runs plans on one OpenCL device in single precision. The same seed gives the same bits on the
/// same device.
public struct OpenCLDevice: Device {
  /// Choices that tests and tuning make.
  public struct Options: Sendable, Hashable {
    /// Dense and attention products by CLBlast; otherwise by our own kernels.
    public var usesCLBlast = true
    /// Builds kernels for the shapes of each layer; otherwise one build serves all shapes, which
    /// is quicker to start where compiling is slow.
    public var specializes: Bool

    public init(usesCLBlast: Bool = true, specializes: Bool = true) {
      self.usesCLBlast = usesCLBlast
      self.specializes = specializes
    }
  }

  public let description: OpenCLDeviceDescription
  public let options: Options
  let context: OpenCLContext

  public var name: String { description.name }

  /// - Parameter options: by default kernels are specialized on what is no CPU, and CLBlast is used
  ///   unless `SEMG_OPENCL_WITHOUT_CLBLAST` is set.
  /// - Throws: `DeviceError` where the driver refuses a context.
  public init(
    _ description: OpenCLDeviceDescription, options: Options? = nil
  ) throws(DeviceError) {
    self.description = description
    self.options =
      options
      ?? Options(
        usesCLBlast: !KernelSource.leavesOutCLBlast, specializes: !description.isCPU)
    context = try OpenCLContext(
      description, cache: description.cachesPrograms ? nil : .standard)
  }

  public func load(
    _ plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> any LoadedPlan {
    try OpenCLLoadedPlan(plan, options: options, device: self)
  }

  public func layout(
    of plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> ArenaLayout {
    try OpenCLLoadedPlan.layout(
      plan, schedules: OpenCLLoadedPlan.schedules(plan, options: options), options: options,
      device: self)
  }
}
