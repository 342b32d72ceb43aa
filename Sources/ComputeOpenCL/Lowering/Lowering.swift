import COpenCL
import Compute

/// Turns operations into commands: picks kernels and builds, binds tensors, sizes scratch.
final class Lowering {
  let plan: Plan
  let program: Program
  let options: LoadOptions
  let device: OpenCLDevice
  let arenas: Arenas
  let table: ProgramTable
  let scratch: SharedScratch
  /// Where the loss is scaled.
  let scaler: LossScaler?
  let key: SIMD2<UInt32>
  /// The tensor that was last asked for at each place: what a kernel's arguments are, for its cost.
  private var lastAsked: [Place: TensorID] = [:]
  private struct Place: Hashable {
    let buffer: ObjectIdentifier
    let offset: Int
  }
  /// By the tensors that they are of: what convolutions leave for the normalizations behind them.
  var leftStatistics: [TensorID: StatisticsChunks] = [:]
  /// By the weights of its queries: what short attention leaves for its gradient.
  var leftAttention: [TensorID: ShortAttentionScratch] = [:]
  /// Whether what is lowered is the program's last launch: all gradients are there after it.
  private(set) var isLast = false
  /// What comes before the program's launches, unless a training step has just been run.
  var search: [Command] = []
  /// Made when the first product asks for it.
  private var knownQueue: DeviceMemory?

  init(
    plan: Plan, program: Program, options: LoadOptions, device: OpenCLDevice, arenas: Arenas,
    table: ProgramTable, scratch: SharedScratch, scaler: LossScaler? = nil
  ) {
    self.plan = plan
    self.program = program
    self.options = options
    self.device = device
    self.arenas = arenas
    self.table = table
    self.scratch = scratch
    self.scaler = scaler
    key = Philox.key(seed: options.seed)
  }

  /// A queue on which nothing runs: CLBlast wants one to say how much memory it needs.
  func queueForQuestions() throws(DeviceError) -> DeviceMemory {
    if let knownQueue { return knownQueue }
    let made = try DeviceMemory(context: device.context)
    knownQueue = made
    return made
  }

  // MARK: For the families of operations

  /// A kernel argument that is a tensor; its element type is the caller's concern.
  func tensor(_ id: TensorID) throws(DeviceError) -> KernelArgument {
    let place = try place(of: id)
    lastAsked[Place(buffer: ObjectIdentifier(place.buffer), offset: place.offset)] = id
    let isHalf = device.storage.type(of: plan[id]) == .float16
    return .tensor(place.buffer, offset: place.offset, isHalf: isHalf)
  }

  /// Buffer of a tensor and the element at which it begins.
  func place(of id: TensorID) throws(DeviceError) -> (buffer: Buffer, offset: Int) {
    guard let place = arenas.place(of: id) else {
      throw .misused(
        device: device.name, what: "\(plan[id].name): the layout has no place for it")
    }
    return (place.buffer, place.offset / device.storage.type(of: plan[id]).byteCount)
  }

  /// A work-group of so many items, or of fewer where the kernels of a file may have no more.
  func groupSize(_ wanted: Int, in file: String) -> Int {
    min(wanted, device.context.groupLimits.limit(of: file))
  }

  /// Work items of the groups of a file that has GROUP_ITEMS.
  func groupItems(of file: String) -> Int { device.context.groupLimits.items(of: file) }

  /// Values that a kernel reads and nobody writes.
  func constants<Element: BitwiseCopyable>(
    _ values: [Element]
  ) throws(DeviceError) -> KernelArgument {
    let slot = BufferSlot()
    slot.buffer = try Buffer(copying: values, context: device.context)
    return .slot(slot)
  }

  /// - Parameters:
  ///   - defines: sizes of this shape; left out where one build is to serve all shapes.
  ///   - always: what every build is given, that for all shapes among them.
  ///   - local: work-group size; a device that allows less refuses the plan with a sentence.
  ///   - storage: which of the arguments are halves, where they are not all of those that the kernel
  ///     calls `stored`.
  ///   - bytes: that it moves at least; by default those of its tensors and regions of the scratch.
  ///   - products: floating-point operations of the matrix products that it makes.
  func kernel(
    _ file: String, _ name: String, defines: [String: Int] = [:], always: [String: Int] = [:],
    _ arguments: [KernelArgument], local: [Int], storage: [String: Int]? = nil,
    groups: @escaping (_ live: Int) -> [Int],
    bytes: ((_ live: Int) -> Int)? = nil, products: ((_ live: Int) -> Int)? = nil,
    product: ProductKey? = nil
  ) throws(DeviceError) -> Command {
    let bytes = bytes ?? self.bytes(of: arguments)
    var halves = storage ?? (arguments.contains(where: \.isHalf) ? ["HALF_STORAGE": 1] : [:])
    if scaler != nil, storage == nil, KernelBundle.isScaled(file) {
      halves.merge(LossScaler.storage) { $1 }
    }
    if device.options.halfPath == .native, !halves.isEmpty, ["conv1d", "dense"].contains(file) {
      halves["NATIVE_HALF"] = 1
    }
    let sizes = device.options.specializes ? defines : [:]
    let build = sizes.merging(halves) { $1 }.merging(always) { $1 }
      .merging(device.context.groupLimits.defines(of: file)) { $1 }
    let handle = try device.context.makeKernel(
      file: file, name: name, defines: build,
      bundle: KernelBundle.files(
        with: file, defines: build, servesAllShapes: device.buildsForAllShapes))
    let call = try KernelCall(
      kernel: handle, file: file, name: name, arguments: arguments, local: local, groups: groups,
      cost: {
        KernelCost(bytes: Double(bytes($0)), productOperations: Double(products?($0) ?? 0))
      }, context: device.context)
    call.product = product
    return .kernel(call)
  }

  /// Bytes of the tensors and regions among a kernel's arguments, each once.
  private func bytes(of arguments: [KernelArgument]) -> (_ live: Int) -> Int {
    var tensors: Set<TensorID> = []
    var regions: [Int] = []
    for argument in arguments {
      switch argument {
      case .tensor(let buffer, let offset, _):
        let id = lastAsked[Place(buffer: ObjectIdentifier(buffer), offset: offset)]
        if let id { tensors.insert(id) }
      case .region(let slot, let offset, let isHalf):
        regions.append(scratch.count(of: slot, at: isHalf ? offset * 2 : offset * 4))
      default: break
      }
    }
    let specs = tensors.map { (plan[$0], device.storage.type(of: plan[$0]).byteCount) }
    let scratch = regions.reduce(0, +)
    let capacity = program.capacity
    return { live in
      specs.reduce(scratch * live / capacity) {
        $0 + $1.0.elementCount(live: live) * $1.1
      }
    }
  }

  /// One work item for every `perItem` elements; the last argument is the elements' number.
  func elements(
    _ file: String, _ name: String, _ arguments: [KernelArgument], perSample: Int,
    perItem: Int = 1, defines: [String: Int] = [:]
  ) throws(DeviceError) -> Command {
    let local = groupSize(256, in: file)
    let span = local * perItem
    return try kernel(
      file, name, defines: defines, arguments + [.liveTimes(perSample)], local: [local],
      groups: { [($0 * perSample + span - 1) / span] })
  }

  // MARK: One launch

  func launch(_ item: Schedule.Item, isLast: Bool) throws(DeviceError) -> OpenCLLaunch {
    self.isLast = isLast
    let made =
      if let pattern = item.pattern {
        try commands(pattern)
      } else {
        try commands(program.operations[item.launch.operations[0]])
      }
    return OpenCLLaunch(launch: item.launch, commands: made)
  }

  /// Patterns that have launches here; `commands(_:)` answers for the same.
  ///
  /// - Parameter isHalf: which tensors are stored as halves: the small dense layers' own kernels read
  ///   and write floats alone.
  static func fuses(_ pattern: FusedPattern, isHalf: (TensorID) -> Bool) -> Bool {
    func fits(_ shape: DenseShape) -> Bool {
      isSmall(shape) && !pattern.needs.union(pattern.produces).contains(where: isHalf)
    }
    return switch pattern.kind {
    case .attentionMean, .attentionMeanGradient: true
    case .squeezeBlock(let block): Self.fits(block)
    case .squeezeBlockGradient(let gradient): Self.fits(gradient.block)
    case .normBlock, .normBlockGradient, .gradientSum, .unbiasedKernel, .kernelGradients: true
    case .noisyWindows(let windows): Self.fits(windows)
    case .denseBlock(let block): fits(block.shape)
    case .denseGradient(let gradient): fits(gradient.shape)
    case .denseLoss(let loss): fits(loss.shape)
    }
  }

  private func commands(_ pattern: FusedPattern) throws(DeviceError) -> [Command] {
    switch pattern.kind {
    case .attentionMean(let attention): return try shortAttention(attention)
    case .attentionMeanGradient(let attention): return try shortAttentionBackward(attention)
    case .squeezeBlock(let block): return try squeezeBlockForward(block)
    case .squeezeBlockGradient(let gradient): return try squeezeBlockBackward(gradient)
    case .normBlock(let block): return try normBlockForward(block)
    case .normBlockGradient(let gradient): return try normBlockBackward(gradient)
    case .gradientSum(let sum): return try gradientSum(sum)
    case .unbiasedKernel(let gradient):
      return try commands(gradient, isUnbiased: true)
    case .kernelGradients(let gradients): return try kernelGradients(gradients)
    case .noisyWindows(let windows): return [try noisyWindows(windows)]
    case .denseBlock(let block): return [try denseBlock(block)]
    case .denseGradient(let gradient): return [try denseBackward(gradient)]
    case .denseLoss(let loss): return try denseLoss(loss)
    }
  }

  func commands(_ operation: Operation) throws(DeviceError) -> [Command] {
    switch operation {
    case .gatherWindows(let op): try commands(op)
    case .gaussianNoise(let op): try commands(op)
    case .conv1DForward(let op): try commands(op)
    case .conv1DBackwardInput(let op): try commands(op)
    case .conv1DBackwardKernel(let op): try commands(op)
    case .batchNormForward(let op): try commands(op)
    case .batchNormInference(let op): try commands(op)
    case .batchNormBackward(let op): try commands(op)
    case .layerNormForward(let op): try commands(op)
    case .layerNormBackward(let op): try commands(op)
    case .reluForward(let op): try commands(op)
    case .reluBackward(let op): try commands(op)
    case .sigmoidForward(let op): try commands(op)
    case .sigmoidBackward(let op): try commands(op)
    case .denseForward(let op): try commands(op)
    case .denseBackwardInput(let op): try commands(op)
    case .denseBackwardKernel(let op): try commands(op)
    case .concatenateForward(let op): try commands(op)
    case .concatenateBackward(let op): try commands(op)
    case .add(let op): try commands(op)
    case .scaleChannelsForward(let op): try commands(op)
    case .scaleChannelsBackward(let op): try commands(op)
    case .maxPoolForward(let op): try commands(op)
    case .maxPoolBackward(let op): try commands(op)
    case .averagePoolForward(let op): try commands(op)
    case .averagePoolBackward(let op): try commands(op)
    case .meanOverTimeForward(let op): try commands(op)
    case .meanOverTimeBackward(let op): try commands(op)
    case .dropoutForward(let op): try commands(op)
    case .dropoutBackward(let op): try commands(op)
    case .attentionForward(let op): try commands(op)
    case .attentionBackward(let op): try commands(op)
    case .softmax(let op): try commands(op)
    case .softmaxCrossEntropy(let op): try commands(op)
    case .l2Penalty(let op): try commands(op)
    case .adam(let op): try commands(op)
    }
  }
}
