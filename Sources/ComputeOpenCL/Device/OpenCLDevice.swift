import Compute

/// Runs plans on one OpenCL device, in single precision or in half. The same seed gives the same bits
/// on the same device.
public struct OpenCLDevice: Device {
  /// Which convolutions in half precision run on tensor cores.
  public enum TensorCoreUse: Sendable, Hashable {
    /// Those that fit, where the device has them: found out by running one product.
    case probed
    /// As a probe has found out already, in another process perhaps.
    case known(TensorCoreVerdict)
    case never
    /// Those that fit, on any device, with the instructions emulated: slow, for tests.
    case emulated
  }

  /// What products of halves are made of.
  public enum HalfPath: String, Sendable, CaseIterable, Codable {
    /// Halves in global memory, floats everywhere else: every device can.
    case storage
    /// Halves in local memory as well, weights among them, sums in floats; where there is
    /// `cl_khr_fp16`.
    case native
  }

  /// A precision, with what products of halves are made of.
  public struct Arithmetic: Sendable, Hashable, Codable, CustomStringConvertible {
    public var precision: Precision
    /// In half precision.
    public var halfPath: HalfPath

    public init(_ precision: Precision, _ halfPath: HalfPath = .storage) {
      self.precision = precision
      self.halfPath = halfPath
    }

    /// `fp32`, `fp16`, `fp16, native`.
    public var description: String {
      precision == .fp16 && halfPath != .storage
        ? "\(precision.rawValue), \(halfPath.rawValue)" : precision.rawValue
    }
  }

  /// How the device computes: what the user asks for, and choices that tests and tuning make.
  public struct Options: Sendable, Hashable {
    /// Dense and attention products by CLBlast; otherwise by our own kernels.
    public var usesCLBlast = true
    /// Builds kernels for the shapes of each layer; otherwise one build serves all shapes, which
    /// is quicker to start where compiling is slow.
    public var specializes: Bool
    public var precision: Precision
    public var tensorCores = TensorCoreUse.probed
    /// How copies come where they are emulated.
    var emulation = TensorCores.Emulation.copiesLate
    /// In half precision.
    public var halfPath: HalfPath
    /// In half precision: by what the loss is multiplied at first, a power of two.
    public var lossScale: Float
    /// Tiles of products as `semg-train tune` found them best on this device, where it was run.
    public var usesTuning = true
    /// The tile of every product, where it fits, for whoever times them.
    var tile: ProductTile?
    /// The same on tensor cores.
    var tensorCoreTile: TensorCoreTile?

    public init(
      usesCLBlast: Bool = true, specializes: Bool = true, precision: Precision = .fp32,
      halfPath: HalfPath = .storage, lossScale: Float = 65_536
    ) {
      self.usesCLBlast = usesCLBlast
      self.specializes = specializes
      self.precision = precision
      self.halfPath = halfPath
      self.lossScale = lossScale
    }
  }

  /// Paths that a device can be asked for; whether it computes rightly by them, its self-check says.
  public static func halfPaths(of description: OpenCLDeviceDescription) -> [HalfPath] {
    description.hasFP16 ? [.storage, .native] : [.storage]
  }

  /// All ways of computing that a device can be asked for.
  public static func arithmetics(of description: OpenCLDeviceDescription) -> [Arithmetic] {
    [Arithmetic(.fp32)] + halfPaths(of: description).map { Arithmetic(.fp16, $0) }
  }

  public let description: OpenCLDeviceDescription
  public let options: Options
  let context: OpenCLContext
  /// `TunableTile.sizes`, by `ProductKey.text`.
  let tunedTiles: [String: [Int]]
  /// In half precision: whether products run on tensor cores, and why not; nil in single precision.
  public let tensorCores: TensorCoreVerdict?
  /// Run whenever a dataset is on the device, with a device of the same context whose kernels are
  /// not built for single shapes: some drivers go wrong only once much is uploaded. What it throws,
  /// the upload throws.
  public var afterUpload: (@Sendable (OpenCLDevice) throws(DeviceError) -> Void)?
  /// With what the kernels for tensor cores are built; nil where they are not used.
  let tensorCoreDefines: [String: Int]?
  /// Whether every program that is built on the device serves all shapes.
  let buildsForAllShapes: Bool

  public var name: String {
    guard options.precision == .fp16 else { return description.name }
    return "\(description.name) in half precision"
      + (options.halfPath == .storage ? "" : ", \(options.halfPath.rawValue)")
  }

  public var precision: Precision { options.precision }

  /// A GPU is not filled by the small launches of one network: each plan has a queue of its own.
  public var memoryForPlansAtOnce: Int? {
    description.isCPU ? nil : Int(clamping: description.memory)
  }

  var storage: StorageRule { StorageRule(precision: options.precision) }

  /// What a device is used with: kernels are specialized on what is not a CPU, and CLBlast is used unless
  /// `SEMG_OPENCL_WITHOUT_CLBLAST` is set.
  public static func usualOptions(
    for description: OpenCLDeviceDescription, _ arithmetic: Arithmetic
  ) -> Options {
    Options(
      usesCLBlast: !KernelSource.leavesOutCLBlast, specializes: !description.isCPU,
      precision: arithmetic.precision, halfPath: arithmetic.halfPath)
  }

  /// - Parameters:
  ///   - options: by default `usualOptions`.
  ///   - arithmetic: where no options are given.
  /// - Throws: `DeviceError` where the driver refuses a context.
  public init(
    _ description: OpenCLDeviceDescription, options: Options? = nil,
    arithmetic: Arithmetic = Arithmetic(.fp32)
  ) throws(DeviceError) {
    try self.init(
      description, options: options ?? Self.usualOptions(for: description, arithmetic),
      cache: description.cachesPrograms ? nil : .standard)
  }

  /// - Parameter cache: of programs; nil keeps none.
  init(
    _ description: OpenCLDeviceDescription, options: Options, cache: ProgramCache?
  ) throws(DeviceError) {
    self.description = description
    self.options = options
    buildsForAllShapes = !options.specializes
    tunedTiles =
      self.options.usesTuning && self.options.specializes
      ? TileFile.standard(for: description)?.tiles ?? [:] : [:]
    context = try OpenCLContext(description, cache: cache)
    tensorCores = Self.tensorCores(description, self.options)
    tensorCoreDefines = Self.tensorCoreDefines(tensorCores, self.options)
  }

  /// The same opened device with kernels that serve all shapes, and without `afterUpload`.
  private init(generic device: OpenCLDevice) {
    description = device.description
    var options = device.options
    options.specializes = false
    // The small programs are those that the device's own plans have.
    buildsForAllShapes = device.buildsForAllShapes
    self.options = options
    (context, tensorCores) = (device.context, device.tensorCores)
    tunedTiles = [:]
    tensorCoreDefines = device.tensorCoreDefines
  }

  /// What is to be done once a dataset is there.
  ///
  /// - Throws: `DeviceError.computesWrongly` and others.
  func checkAfterUpload(
    _ stored: StoredDataset, of dataset: Dataset, memory: DeviceMemory
  ) throws(DeviceError) {
    guard let afterUpload else { return }
    if let gap = try stored.gap(from: dataset, memory: memory) {
      throw .computesWrongly(device: name, what: "of the recordings that were uploaded, \(gap)")
    }
    try afterUpload(OpenCLDevice(generic: self))
  }

  /// Looks at the device once more where no dataset will be uploaded.
  ///
  /// - Throws: `DeviceError.computesWrongly` and others.
  public func checkAgain() throws(DeviceError) {
    try afterUpload?(OpenCLDevice(generic: self))
  }

  private static func tensorCores(
    _ description: OpenCLDeviceDescription, _ options: Options
  ) -> TensorCoreVerdict? {
    guard options.precision == .fp16 else { return nil }
    switch options.tensorCores {
    case .never: return .refused(reason: "they were not asked for")
    case .emulated: return .usable
    case .known(let verdict): return verdict
    case .probed: return TensorCores.probe(description)
    }
  }

  private static func tensorCoreDefines(
    _ verdict: TensorCoreVerdict?, _ options: Options
  ) -> [String: Int]? {
    guard verdict?.isUsable == true else { return nil }
    return options.tensorCores == .emulated ? options.emulation.defines : [:]
  }

  public func load(
    _ plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> any LoadedPlan {
    try OpenCLLoadedPlan.make(plan, options: options, device: self)
  }

  public func layout(
    of plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> ArenaLayout {
    try OpenCLLoadedPlan.layout(
      plan, schedules: OpenCLLoadedPlan.schedules(plan, options: options, storage: storage),
      options: options,
      device: self)
  }
}
