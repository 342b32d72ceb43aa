import CVectorLoops
import Compute

/// What a run varies.
struct StepContext {
  var step: Int
  var live: Int
  let table: ProgramTable

  /// Philox's step.
  var iteration: UInt64 { UInt64(table.firstIteration + step) }
}

/// A launch with its arguments bound.
struct CPULaunch {
  var launch: Launch
  var execute: (StepContext) throws(DeviceError) -> Void
}

typealias LaunchBody = (StepContext) throws(DeviceError) -> Void
typealias Floats = UnsafeMutablePointer<Float>

/// Turns operations into launches: binds addresses, makes primitives, sizes scratch.
final class Lowering {
  let plan: Plan
  let options: LoadOptions
  let device: CPUDevice
  let threads: Int32
  let arenas: Arenas
  let pool: MemoryPool
  let scratch: SharedScratch
  let oneDNN: OneDNN
  let key: SIMD2<UInt32>
  /// Convolutions of the program being lowered, whose primitives are made beforehand.
  var convolutions: [Convolution] = []
  var program: Program

  init(
    plan: Plan, program: Program, options: LoadOptions, device: CPUDevice, arenas: Arenas,
    scratch: SharedScratch, oneDNN: OneDNN
  ) {
    self.plan = plan
    self.program = program
    self.options = options
    self.device = device
    threads = Int32(device.threads)
    self.arenas = arenas
    pool = arenas.pool
    self.scratch = scratch
    self.oneDNN = oneDNN
    key = Philox.key(seed: options.seed)
  }

  // MARK: Tensors

  func address(_ id: TensorID) throws(DeviceError) -> UnsafeMutableRawPointer {
    guard let address = arenas.address(id) else {
      throw .misused(device: device.name, what: "an operation on \(plan[id].name): no memory")
    }
    return address
  }

  func floats(_ id: TensorID) throws(DeviceError) -> Floats {
    guard plan[id].elementType == .float32 else {
      throw .unsupported(
        device: device.name,
        what: "\(plan[id].name) in \(plan[id].elementType.rawValue): it computes in float32")
    }
    return try address(id).assumingMemoryBound(to: Float.self)
  }

  func bytes(_ id: TensorID) throws(DeviceError) -> UnsafeMutablePointer<UInt8> {
    try address(id).assumingMemoryBound(to: UInt8.self)
  }

  func random(stream: UInt32) -> vl_random {
    vl_random(step: 0, stream: stream, key0: key.x, key1: key.y)
  }

  // MARK: One operation

  func launch(_ item: Schedule.Item) throws(DeviceError) -> CPULaunch {
    let execute: LaunchBody
    if let pattern = item.pattern {
      execute = try body(pattern)
    } else {
      execute = try body(program.operations[item.launch.operations[0]])
    }
    return CPULaunch(launch: item.launch, execute: execute)
  }

  /// Patterns that have launches here; `body(_:)` answers for the same. The others save launches,
  /// which cost nothing here.
  static func fuses(_ pattern: FusedPattern) -> Bool {
    switch pattern.kind {
    case .attentionMean, .attentionMeanGradient, .squeezeBlock, .squeezeBlockGradient, .normBlock,
      .gradientSum, .unbiasedKernel:
      true
    case .normBlockGradient(let gradient): !gradient.isOfMean
    case .kernelGradients, .noisyWindows, .denseBlock, .denseGradient, .denseLoss:
      false
    }
  }

  private func body(_ pattern: FusedPattern) throws(DeviceError) -> LaunchBody {
    switch pattern.kind {
    case .attentionMean(let short): try shortAttentionForward(short)
    case .attentionMeanGradient(let short): try shortAttentionBackward(short)
    case .squeezeBlock(let block): try squeezeBlockForward(block)
    case .squeezeBlockGradient(let gradient): try squeezeBlockBackward(gradient)
    case .normBlock(let block): try normBlockForward(block)
    case .normBlockGradient(let gradient): try normBlockBackward(gradient)
    case .gradientSum(let sum): try gradientSum(sum)
    case .unbiasedKernel(let gradient): try unbiasedKernel(gradient)
    case .kernelGradients, .noisyWindows, .denseBlock, .denseGradient, .denseLoss:
      throw .unsupported(device: device.name, what: pattern.name)
    }
  }

  func body(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .gatherWindows(let op): try body(op)
    case .gaussianNoise(let op): try body(op)
    case .conv1DForward(let op): try body(op)
    case .conv1DBackwardInput(let op): try body(op)
    case .conv1DBackwardKernel(let op): try body(op)
    case .batchNormForward(let op): try body(op)
    case .batchNormInference(let op): try body(op)
    case .batchNormBackward(let op): try body(op)
    case .layerNormForward(let op): try body(op)
    case .layerNormBackward(let op): try body(op)
    case .reluForward(let op): try body(op)
    case .reluBackward(let op): try body(op)
    case .sigmoidForward(let op): try body(op)
    case .sigmoidBackward(let op): try body(op)
    case .denseForward(let op): try body(op)
    case .denseBackwardInput(let op): try body(op)
    case .denseBackwardKernel(let op): try body(op)
    case .concatenateForward(let op): try body(op)
    case .concatenateBackward(let op): try body(op)
    case .add(let op): try body(op)
    case .scaleChannelsForward(let op): try body(op)
    case .scaleChannelsBackward(let op): try body(op)
    case .maxPoolForward(let op): try body(op)
    case .maxPoolBackward(let op): try body(op)
    case .averagePoolForward(let op): try body(op)
    case .averagePoolBackward(let op): try body(op)
    case .meanOverTimeForward(let op): try body(op)
    case .meanOverTimeBackward(let op): try body(op)
    case .dropoutForward(let op): try body(op)
    case .dropoutBackward(let op): try body(op)
    case .attentionForward(let op): try body(op)
    case .attentionBackward(let op): try body(op)
    case .softmax(let op): try body(op)
    case .softmaxCrossEntropy(let op): try body(op)
    case .l2Penalty(let op): try body(op)
    case .adam(let op): try body(op)
    }
  }
}
