import Networks

/// Where Keras puts the variables of a network: the order of its layers, and the HDF5 paths that
/// follow from it.
///
/// Keras sorts a functional model's layers when it builds it, whatever order `config.json` lists:
/// by depth (longest way to the output), then by the order in which a depth-first walk from the
/// output first meets them (`map_graph` in keras/src/ops/function.py, 3.5 to 3.15). Class counters
/// in the HDF5 paths and the optimizer's variables follow that order.
enum KerasLayout {
  /// Indices of the network's layers in Keras's order; those that the output does not read are
  /// left out.
  static func order(of network: Network) -> [Int] {
    var walk = Walk(network: network)
    walk.visit(network.layers.count - 1)
    var depths: [Int: Int] = [:]
    for layer in walk.finished.reversed() {
      let depth = depths[layer, default: 0]
      depths[layer] = depth
      for input in network.layers[layer].inputs {
        depths[input] = max(depth + 1, depths[input, default: 0])
      }
    }
    return walk.finished.sorted { a, b in
      let depthA = depths[a, default: 0]
      let depthB = depths[b, default: 0]
      return depthA == depthB ? walk.met[a, default: 0] < walk.met[b, default: 0] : depthA > depthB
    }
  }

  private struct Walk {
    let network: Network
    var met: [Int: Int] = [:]
    var finished: [Int] = []

    mutating func visit(_ layer: Int) {
      guard met[layer] == nil else { return }
      met[layer] = met.count
      for input in network.layers[layer].inputs { visit(input) }
      finished.append(layer)
    }
  }

  /// Counts layers of each class: `conv1d`, `conv1d_1`, … as HDF5 groups, in each model anew.
  struct ClassCounter {
    private var counts: [String: Int] = [:]

    /// - Parameter container: the group of the model's layers; that of a model within another is
    ///   e.g. `layers/functional/layers`.
    mutating func path(of group: String, in container: String = "layers") -> String {
      let path = "\(container)/\(group)"
      let count = counts[path, default: 0]
      counts[path] = count + 1
      return count == 0 ? path : "\(path)_\(count)"
    }
  }

  /// Paths of a layer's variables in their order; each sublayer counts its own.
  static func variablePaths(of variables: [LayerVariable], below path: String) -> [String] {
    var counts: [String?: Int] = [:]
    return variables.map { variable in
      let place = counts[variable.sublayer, default: 0]
      counts[variable.sublayer] = place + 1
      return "\(path)/\(variable.sublayer.map { "\($0)/" } ?? "")vars/\(place)"
    }
  }
}
