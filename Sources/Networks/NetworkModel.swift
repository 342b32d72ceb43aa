import Compute

/// A network to be trained, and the name that it has in files, in reports and in the ensemble: one of
/// ours, which is made for the windows at hand, or one that somebody drew, which is what it is.
///
/// Two are equal where their names are: a run has each name once.
public struct NetworkModel: Sendable {
  /// What a network is made for.
  public struct Purpose: Sendable, Hashable {
    /// Time steps and channels of a window.
    public var time, channels: Int
    public var classes: Int
    /// Of the dilated convolutions.
    public var padding: Padding

    public init(time: Int, channels: Int, classes: Int, padding: Padding) {
      (self.time, self.channels, self.classes) = (time, channels, classes)
      self.padding = padding
    }
  }

  public let name: String
  /// Whether the padding of its dilated convolutions is to be chosen.
  public let takesPadding: Bool
  /// What training begins with; nil for the values of Keras's initializers, by the seed.
  public let initialWeights: NetworkWeights?
  private let make: @Sendable (Purpose) throws(NetworkError) -> Network

  /// The Inception-SE-TCN with attention.
  public static let inceptionSE = NetworkModel(name: "inception-se", takesPadding: true) {
    purpose throws(NetworkError) in
    try Network.inceptionSE(
      time: purpose.time, channels: purpose.channels, classes: purpose.classes,
      padding: purpose.padding)
  }
  /// The deep CNN.
  public static let semgNet = NetworkModel(name: "semg-net", takesPadding: false) {
    purpose throws(NetworkError) in
    try Network.semgNet(time: purpose.time, channels: purpose.channels, classes: purpose.classes)
  }
  /// Those that need no archive, in the ensemble's order.
  public static let builtIn = [inceptionSE, semgNet]

  private init(
    name: String, takesPadding: Bool,
    make: @escaping @Sendable (Purpose) throws(NetworkError) -> Network
  ) {
    (self.name, self.takesPadding, self.make) = (name, takesPadding, make)
    initialWeights = nil
  }

  /// A network that is there already.
  ///
  /// - Parameter initialWeights: what its training begins with; nil for the initializers' values.
  public init(name: String, network: Network, initialWeights: NetworkWeights?) {
    self.name = name
    takesPadding = false
    self.initialWeights = initialWeights
    make = { purpose throws(NetworkError) in
      guard network.input == (purpose.time, purpose.channels), network.classes == purpose.classes
      else {
        throw .setting(
          layer: network.name,
          what:
            "takes windows of \(network.input.time) steps and \(network.input.channels) channels "
            + "and tells \(network.classes) classes apart, expected \(purpose.time), "
            + "\(purpose.channels) and \(purpose.classes)")
      }
      return network
    }
  }

  /// - Throws: `NetworkError` where there is no such network for the purpose.
  public func network(for purpose: Purpose) throws(NetworkError) -> Network { try make(purpose) }

  /// The one of ours that a network is, whatever it and its layers are called and in whatever order
  /// they stand; nil for any other.
  public static func builtIn(like network: Network) -> NetworkModel? {
    let purpose = Purpose(
      time: network.input.time, channels: network.input.channels, classes: network.classes,
      padding: .causal)
    let structure = network.structure
    return builtIn.first { (try? $0.network(for: purpose).structure) == structure }
  }
}

extension NetworkModel: Hashable, CustomStringConvertible {
  public static func == (one: Self, other: Self) -> Bool { one.name == other.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
  public var description: String { name }
}

extension Network {
  /// What its layers are, and the shapes of their outputs and variables, in no order of theirs.
  fileprivate var structure: [String] {
    layers.indices.map { index in
      let variables = weights.filter { $0.layer == index }.map(\.shape)
      return "\(type(of: layers[index].kind)) \(shapes[index]) \(variables)"
    }.sorted()
  }
}
