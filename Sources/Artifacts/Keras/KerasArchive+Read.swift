import Foundation
import Networks

extension KerasArchive {
  /// Reads an archive that Keras 3.5 to 3.15 or `write` made, whatever its layers are called: by
  /// the order and the connections of its layers. 16- and 64-bit weights are converted; weights
  /// that are not finite are refused, and an optimizer's state that does not fit is left out with
  /// a note.
  ///
  /// - Parameter helper: the program whose process reads the HDF5 part.
  /// - Throws: `ArchiveError` for anything that is not a whole archive of a network of ours.
  public static func read(
    _ path: String, limits: ArchiveLimits = ArchiveLimits(), helper: HDF5Helper = .automatic
  ) throws(ArchiveError) -> ArchiveContents {
    try read(load(path, limits: limits), path: path, limits: limits, helper: helper)
  }

  /// Reads an archive from its bytes; `path` is for messages.
  public static func read(
    _ data: Data, path: String, limits: ArchiveLimits = ArchiveLimits(),
    helper: HDF5Helper = .automatic
  ) throws(ArchiveError) -> ArchiveContents {
    let zip = try ZipReader(data, path: path)
    if !zip.contains("config.json"), let file = ForeignFile(content: data) {
      throw ZipReader.foreign(file, path)
    }
    let root = try json("config.json", in: zip, path: path, limits: limits)
    let metadata =
      zip.contains("metadata.json")
      ? try json("metadata.json", in: zip, path: path, limits: limits) : .null
    try checkVersion(metadata, root, zip, path: path)
    var reader = KerasConfigReader(
      path: path, root: root, layerLimit: limits.layers, parameterLimit: limits.parameters)
    let model = try reader.model()
    let image = try zip.read("model.weights.h5", limit: largestWeights(of: model))
    var info = ArchiveInfo(
      kerasVersion: metadata["keras_version"]?.string, savedBy: metadata["saved_by"]?.string,
      dateSaved: metadata["date_saved"]?.string,
      dtypePolicy: model.dtypePolicy, training: nil, notes: [])
    info.otherInitializers = Self.otherInitializers(in: root["config"] ?? .null).sorted()
    info.frozenLayers = Self.frozenLayers(in: root["config"] ?? .null).sorted()
    info.notes += info.frozenLayers.map { "\($0) has trainable=False, which is not counted here" }
    let compiled = CompileConfigReader(root["compile_config"])
    info.training = compiled.training
    info.notes += compiled.notes
    let process: HDF5Process
    let values: WeightReader.Values
    do {
      process = try HDF5Process(
        helper: helper.executable, memory: limits.baseMemory + 6 * image.count,
        seconds: limits.seconds)
      var weights = WeightReader(
        path: path, model: model, readsOptimizer: compiled.isAdam, process: process)
      values = try weights.read(image)
    } catch let failure as HDF5Process.Failure {
      throw archiveError(failure, path: path, helper: helper)
    } catch let error as ArchiveError {
      throw error
    } catch {
      throw .readerFailed(path: path, how: "\(error)")
    }
    info.notes += values.notes
    return ArchiveContents(
      network: model.network, weights: values.weights, optimizer: values.optimizer, info: info)
  }

  /// Finds archives that Keras 2 wrote, and those of Keras 3 whose weights lie there otherwise.
  private static func checkVersion(
    _ metadata: JSONValue, _ root: JSONValue, _ zip: ZipReader, path: String
  ) throws(ArchiveError) {
    // Keras 2 kept its models in `keras.src.engine`, and `tf_keras` still does.
    let isOld = root["module"]?.string?.firstRange(of: ".engine.") != nil
    let version = metadata["keras_version"]?.string ?? (isOld ? "2" : "3")
    if let major = version.split(separator: ".").first.flatMap({ Int($0) }), major < 3 {
      throw .foreign(
        path: path, found: "an archive saved by Keras \(version)", expected: "one of Keras 3",
        advice: "It was saved by Keras 2.x: load it there, and save it with Keras 3: make the same "
          + "model in Keras 3, hand over the weights with set_weights(get_weights()), and save it "
          + "with model.save(\"NAME.keras\").")
    }
    guard !zip.contains("model.weights.h5"),
      let other = zip.names.first(where: { $0.hasPrefix("model.weights.") })
    else { return }
    throw .foreign(
      path: path, found: "weights in another format, \(other)", expected: "model.weights.h5",
      advice: "Load it in Keras with keras.models.load_model(), and save it with "
        + "model.save(\"NAME.keras\").")
  }

  /// Names of the layers and models below a value that say `trainable: false`.
  private static func frozenLayers(in value: JSONValue) -> Set<String> {
    if let list = value.array {
      return list.reduce(into: []) { $0.formUnion(frozenLayers(in: $1)) }
    }
    let settings = value.object ?? [:]
    var found = settings.values.reduce(into: Set<String>()) {
      $0.formUnion(frozenLayers(in: $1))
    }
    if settings["trainable"] == .bool(false), let name = settings["name"]?.string {
      found.insert(name)
    }
    return found
  }

  /// Those of layers' settings such as `kernel_initializer`, anywhere below a value.
  private static func otherInitializers(in value: JSONValue) -> Set<String> {
    if let list = value.array {
      return list.reduce(into: []) { $0.formUnion(otherInitializers(in: $1)) }
    }
    var found: Set<String> = []
    for (key, setting) in value.object ?? [:] {
      guard key.hasSuffix("_initializer") else {
        found.formUnion(otherInitializers(in: setting))
        continue
      }
      guard let name = setting.string ?? setting["class_name"]?.string else { continue }
      // `glorot_uniform` and `GlorotUniform` are the same.
      let compared = name.lowercased().filter { $0 != "_" }
      let usual =
        switch key {
        case "kernel_initializer": "glorotuniform"
        case "gamma_initializer", "moving_variance_initializer": "ones"
        default: "zeros"
        }
      if compared != usual { found.insert(name) }
    }
    return found
  }

  private static func load(_ path: String, limits: ArchiveLimits) throws(ArchiveError) -> Data {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw .read(.unreadable(path: path, reason: AtomicFile.message(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .read(.unreadable(path: path, reason: "it is not a regular file"))
    }
    guard status.st_size <= limits.archiveBytes else {
      throw .tooLarge(
        path: path, part: "the file's size in bytes", found: Int(status.st_size),
        limit: limits.archiveBytes)
    }
    do throws(FileReadError) {
      return try WholeFile.read(path)
    } catch {
      throw .read(error)
    }
  }

  private static func json(
    _ name: String, in zip: ZipReader, path: String, limits: ArchiveLimits
  ) throws(ArchiveError) -> JSONValue {
    let data = try zip.read(name, limit: limits.configBytes)
    let depth = data.withUnsafeBytes { JSONValue.nestingDepth(of: $0) }
    guard depth <= limits.jsonDepth else {
      throw .tooLarge(
        path: path, part: "the nesting depth of \(name)", found: depth, limit: limits.jsonDepth)
    }
    do {
      return try JSONDecoder().decode(JSONValue.self, from: data)
    } catch {
      throw .badContent(path: path, part: name, found: "no valid JSON", expected: "JSON")
    }
  }

  /// A generous bound on `model.weights.h5`: every variable and both moments, twice (a loss-scale
  /// optimizer keeps them twice), in 64 bits, and what HDF5 spends on groups and names.
  private static func largestWeights(of model: KerasModel) -> Int {
    let values = 8 * 5 * model.network.parameterCount
    let datasets = 8 * model.network.weights.count + 4 * model.network.layers.count
    return values + datasets * 8_192 + (1 << 20)
  }

  private static func archiveError(
    _ failure: HDF5Process.Failure, path: String, helper: HDF5Helper
  ) -> ArchiveError {
    switch failure {
    case .unavailable(let reason):
      .readerUnavailable(helper: helper.executable, reason: reason)
    case .refused(let reason):
      .badContent(
        path: path, part: "model.weights.h5", found: reason, expected: "plain datasets of weights")
    case .failed(let how): .readerFailed(path: path, how: how)
    }
  }
}
