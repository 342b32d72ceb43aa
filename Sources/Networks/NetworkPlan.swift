import Compute

/// The numbers that a training step computes with, whatever the network.
public struct StepConstants: Sendable, Hashable, Codable {
  /// Label smoothing of the loss, training and validation alike, in [0, 1).
  public var smoothing: Float
  /// MixUp mixes the labels too.
  public var mixesLabels: Bool
  /// Standard deviation of the noise in masked views, as that of standardized samples is 1.
  public var noiseDeviation: Float
  /// Adam's β₁.
  public var beta1: Float
  /// Adam's β₂.
  public var beta2: Float
  /// Adam's ε.
  public var epsilon: Float

  public init(
    smoothing: Float = 0.1, mixesLabels: Bool = true, noiseDeviation: Float = 0.02,
    beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-7
  ) {
    self.smoothing = smoothing
    self.mixesLabels = mixesLabels
    self.noiseDeviation = noiseDeviation
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }
}

/// What a plan of a network is made for.
public struct NetworkPlanOptions: Sendable {
  /// Samples of a batch where nobody asks for another size.
  public static let usualBatchSize = 128

  /// Samples of a training step.
  public var batchCapacity: Int
  /// Samples of an inference run.
  public var inferenceCapacity: Int
  public var constants: StepConstants
  /// Weights of the training loss by class, or empty.
  public var classWeights: [Float]
  /// Noise and dropout while training; off where runs are compared with other programs.
  public var regularizes: Bool
  /// The training program gathers its batches from a dataset; otherwise the host writes batch,
  /// targets and sample weights.
  public var gathers: Bool

  public init(
    batchCapacity: Int = usualBatchSize, inferenceCapacity: Int = usualBatchSize,
    constants: StepConstants = StepConstants(), classWeights: [Float] = [],
    regularizes: Bool = true, gathers: Bool = true
  ) {
    self.batchCapacity = batchCapacity
    self.inferenceCapacity = inferenceCapacity
    self.constants = constants
    self.classWeights = classWeights
    self.regularizes = regularizes
    self.gathers = gathers
  }
}

/// A network's plan: the programs `forwardBackward`, `update`, `validate` and `predict`, and where
/// to find what goes in and comes out.
public struct NetworkPlan: Sendable {
  /// A program's batch and what comes out of it.
  public struct Ports: Sendable, Hashable {
    /// `[capacity, T, C]`.
    public var batch: TensorID
    /// `[capacity, classes]`, unsmoothed; none in `predict`.
    public var targets: TensorID?
    /// `[capacity]`; none in `predict`.
    public var sampleWeights: TensorID?
    /// `[capacity, classes]`, after the softmax.
    public var probabilities: TensorID
  }

  public let network: Network
  public let options: NetworkPlanOptions
  public let plan: Plan
  /// Parallel to `network.weights`.
  public let weights: [TensorID]
  /// Parallel to the trainable ones of `network.weights`, in their order (not the arena's).
  public let gradients, firstMoments, secondMoments: [TensorID]
  public let training, validation, prediction: Ports

  /// - Precondition: the network ends in a dense layer with softmax, and all its decayed kernels
  ///   share one coefficient: `NetworkPlan.check` says so beforehand for networks of others.
  public init(_ network: Network, options: NetworkPlanOptions = NetworkPlanOptions()) {
    var builder = PlanBuilder(network: network, options: options)
    training = builder.buildTraining()
    builder.buildUpdate()
    validation = builder.buildInference(.validate)
    prediction = builder.buildInference(.predict)
    self.network = network
    self.options = options
    weights = builder.weights
    gradients = builder.trainable.map { builder.parameters[$0].gradient }
    firstMoments = builder.trainable.map { builder.parameters[$0].firstMoment }
    secondMoments = builder.trainable.map { builder.parameters[$0].secondMoment }
    plan = Plan(name: network.name, tensors: builder.tensors, programs: builder.programs)
  }

  /// Whether a network can be trained and run by a plan: checked for networks that others wrote.
  public static func check(_ network: Network) throws(NetworkError) {
    guard let last = network.layers.last, let dense = last.kind as? Layers.Dense,
      dense.activation == .softmax, network.shapes.last?.count == 1
    else {
      throw .setting(
        layer: network.layers.last?.name ?? network.name,
        what: "a network ends in a Dense layer with softmax on one vector")
    }
    guard dense.units >= 2 else {
      throw .setting(layer: last.name, what: "a network tells at least 2 classes apart")
    }
    guard network.layers.dropLast().allSatisfy({ !$0.isSoftmax }) else {
      throw .setting(layer: last.name, what: "only the last layer may be a softmax")
    }
    let inputs = network.layers.filter { $0.kind is Layers.Input }
    guard inputs.count == 1 else {
      throw .setting(layer: network.name, what: "a network has one input, found \(inputs.count)")
    }
    let read = Set(network.layers.flatMap(\.inputs))
    for (index, layer) in network.layers.dropLast().enumerated() where !read.contains(index) {
      throw .setting(layer: layer.name, what: "no layer reads its output")
    }
  }
}

extension Layer {
  var isSoftmax: Bool {
    (kind as? Layers.Dense)?.activation == .softmax
  }
}
