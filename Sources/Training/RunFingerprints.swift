import Artifacts
import Foundation
import Networks
import Recordings

extension Network {
  /// Of all values of its variables, bit for bit and by the variables' names: another program may save
  /// the same weights in another file, with the layers in another order.
  public func fingerprint(of weights: NetworkWeights) -> Fingerprint {
    var named: [String: Fingerprint] = [:]
    for (variable, values) in zip(self.weights, weights.values) {
      named[variable.name] = Fingerprint(ofNumbers: values.lazy.map(\.bitPattern))
    }
    return Fingerprint(of: named)
  }
}

extension Fingerprint {
  /// Of a file as it is.
  ///
  /// - Throws: `FileReadError`.
  public init(ofFile path: String) throws {
    self.init(ofNumbers: try WholeFile.read(path).lazy.map(UInt32.init))
  }
}

extension RunDirectory {
  /// What ties the files of a run together: fingerprints of its split and its preprocessing as they
  /// lie there, and of the weights in its models, by the files' names.
  func fingerprints(of models: [TrainedModel]) throws -> [String: String] {
    var result: [String: String] = [:]
    for name in [Self.splitName, Self.preprocessingName] {
      guard FileManager.default.fileExists(atPath: file(name)) else { continue }
      result[name] = try Fingerprint(ofFile: file(name)).hexadecimal
    }
    for model in models {
      result[Self.artifactName(of: model.name)] =
        model.network.fingerprint(of: model.weights).hexadecimal
    }
    return result
  }
}
