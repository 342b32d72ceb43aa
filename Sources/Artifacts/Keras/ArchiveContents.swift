import Networks

/// A model as an archive holds it.
public struct ArchiveContents: Sendable, Equatable {
  /// Layers in the archive's order, under the archive's names.
  public var network: Network
  public var weights: NetworkWeights
  /// Adam's state, where the archive has one that fits the network.
  public var optimizer: OptimizerState?
  public var info: ArchiveInfo
}

/// What else an archive says about its model.
public struct ArchiveInfo: Sendable, Equatable {
  /// The Keras version that wrote it, or whose layout it has, as `metadata.json` says; nil where it
  /// does not.
  public var kerasVersion: String?
  /// The program that saved it where that was not Keras: `semg-train 0.1.0`.
  public var savedBy: String?
  /// As `metadata.json` says it, `2026-11-22@18:31:55`.
  public var dateSaved: String?
  /// `float32`, or the policy of layers that compute otherwise, e.g. `mixed_float16`. Weights are
  /// read as 32-bit floats in any case, and predictions are made in them.
  public var dtypePolicy: String
  /// How the model was compiled, where that is Adam and categorical cross-entropy.
  public var training: TrainingSettings?
  /// Classes of initializers that the layers name besides Keras's usual ones, which are all that we
  /// draw by.
  public var otherInitializers: [String] = []
  /// Layers that are not to be trained (`trainable=False`), models within the model among them.
  public var frozenLayers: [String] = []
  /// Sentences for the user about what was left out in reading.
  public var notes: [String]
}

/// Bounds on what is read from files that anyone may have made.
public struct ArchiveLimits: Sendable, Hashable {
  /// Bytes of the archive itself.
  public var archiveBytes = 1 << 30
  /// Bytes of `config.json`; that of the Inception-SE-TCN has 60 KB.
  public var configBytes = 2 << 20
  /// Depth of brackets in JSON; Keras needs some 14.
  public var jsonDepth = 64
  public var layers = 512
  /// Elements of all variables; our larger network has 1.1 million.
  public var parameters = 64_000_000
  /// Seconds for the process that reads HDF5, of the clock and of the processor alike.
  public var seconds = 60
  /// Bytes of address space of that process beyond six times the file's size: it holds the file
  /// three times, and a variable twice.
  public var baseMemory = 1 << 30

  public init() {}
}
