import Foundation
import Networks
import Testing

@testable import Artifacts

/// What `config.json` may say, and what it may not.
@Suite struct ConfigTests {
  static let refused: [(layer: String, setting: String, value: JSONValue)] = [
    ("branch_3", "strides", [2]), ("branch_3", "use_bias", false),
    ("branch_3", "data_format", "channels_first"), ("branch_3", "groups", 2),
    ("branch_3", "padding", "valid"), ("branch_3", "activation", "tanh"),
    ("branch_3", "filters", "many"), ("branch_3", "kernel_size", [3, 3]),
    ("branch_3", "kernel_constraint", ["class_name": "MaxNorm"]),
    ("branch_3", "bias_regularizer", ["class_name": "L2", "config": ["l2": 1]]),
    ("branch_3", "kernel_regularizer", ["class_name": "L1", "config": ["l1": 1]]),
    ("branch_3", "lora_rank", 4), ("branch_3", "dtype", "int8"),
    ("batch_normalization", "axis", 1), ("batch_normalization", "scale", false),
    ("batch_normalization", "renorm", true), ("batch_normalization", "epsilon", 0),
    ("activation", "activation", "gelu"), ("concatenate", "axis", 1),
    ("dropout", "noise_shape", [1, 4]),
    ("global_average_pooling1d", "data_format", "channels_first"), ("dense", "use_bias", false),
    ("reshape", "target_shape", [2, 2]), ("layer_normalization", "rms_scaling", true),
    ("multi_head_attention", "value_dim", 5), ("multi_head_attention", "output_shape", [7]),
    ("multi_head_attention", "attention_axes", [2]), ("multi_head_attention", "use_gate", true),
    ("signal", "batch_shape", [nil, nil, 2]),
  ]

  @Test(arguments: refused)
  func settingsThatWeCannotRepresentAreRefusedByName(
    layer: String, setting: String, value: JSONValue
  ) throws {
    var parts = try Parts()
    try parts.set(setting, of: layer, to: value)
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    let text = error?.description ?? "no error"
    #expect(error?.kind == .badContent)
    #expect(text.contains("test.keras: layer \(layer) (") && text.contains(setting), "\(text)")
  }

  @Test(arguments: ["Lambda", "LSTM", "Functional", "TFOpLambda", "Conv1DTranspose"])
  func layersOutsideTheListAreRefused(className: String) throws {
    var parts = try Parts()
    try parts.edit(layer: "add") { $0["class_name"] = .string(className) }
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    #expect(error?.kind == .badContent)
    #expect(error?.description.contains("add (\(className))") == true)
  }

  @Test func aDropoutThatStaysOnInPredictionIsRefused() throws {
    var parts = try Parts()
    try parts.edit(layer: "dropout") { layer in
      guard case .array(let nodes)? = layer["inbound_nodes"], var node = nodes[0].object else {
        return
      }
      node["kwargs"] = ["training": true]
      layer["inbound_nodes"] = [.object(node)]
    }
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    #expect(error?.description.contains("call argument training") == true)
  }

  @Test func attentionBetweenTwoSequencesIsRefused() throws {
    var parts = try Parts()
    try parts.edit(layer: "multi_head_attention") { layer in
      guard case .array(let nodes)? = layer["inbound_nodes"],
        case .array(let tensors)? = nodes[0]["args"]
      else { return }
      let other: JSONValue = [
        "class_name": "__keras_tensor__",
        "config": ["shape": [nil, 12, 4], "keras_history": ["add", 0, 0]],
      ]
      layer["inbound_nodes"] = [["args": [tensors[0], other], "kwargs": [:]]]
    }
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    #expect(error?.description.contains("query, value and key") == true)
  }

  @Test func aLoopOfLayersIsRefused() throws {
    var parts = try Parts()
    try parts.edit(layer: "branch_3") { layer in
      layer["inbound_nodes"] = [
        [
          "args": [
            [
              "class_name": "__keras_tensor__",
              "config": ["shape": [nil, 12, 2], "keras_history": ["add", 0, 0]],
            ]
          ], "kwargs": [:],
        ]
      ]
    }
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    #expect(error?.description.contains("a layer that comes before it") == true)
  }

  @Test func giantLayersAreRefusedBeforeAnythingIsAllocated() throws {
    var parts = try Parts()
    try parts.set("units", of: "dense_2", to: 60_000)
    try parts.set("key_dim", of: "multi_head_attention", to: 60_000)
    try parts.set("value_dim", of: "multi_head_attention", to: 60_000)
    try parts.set("num_heads", of: "multi_head_attention", to: 60_000)
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    guard case .tooLarge = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: ["[", "{\"a\":", "nonsense", "{}", "[]", "null", ""])
  func textThatIsNoModelIsRefused(text: String) throws {
    let parts = try Parts()
    let archive = try ZipWriter.archive([
      ("metadata.json", parts.metadata), ("config.json", Data(text.utf8)),
      ("model.weights.h5", parts.weights),
    ])
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(archive, path: "test.keras")
    }
    #expect(error?.kind == .badContent)
  }

  @Test func deepJSONIsRefusedBeforeItIsParsed() throws {
    let parts = try Parts()
    let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
    let archive = try ZipWriter.archive([
      ("config.json", Data(deep.utf8)), ("model.weights.h5", parts.weights),
    ])
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(archive, path: "test.keras")
    }
    #expect(
      error
        == .tooLarge(
          path: "test.keras", part: "the nesting depth of config.json", found: 100_000, limit: 64))
  }

  // MARK: What other people's models look like

  @Test func layersMayHaveAnyNames() throws {
    var text = String(decoding: try Parts().config.encoded(), as: UTF8.self)
    for name in ["branch_3", "dense_1", "multi_head_attention", "concatenate"] {
      text = text.replacingOccurrences(
        of: "\"\(name)\"", with: "\"block 7/\(String(name.reversed()))\"")
    }
    var parts = try Parts()
    parts.config = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    let archive = try parts.read()
    #expect(archive.weights == Fixture.weights(archive.network))
    #expect(archive.network.layers.contains { $0.name == "block 7/3_hcnarb" })
  }

  @Test func anActivationWithinAConvolutionBecomesALayer() throws {
    var parts = try Parts()
    try parts.set("activation", of: "shortcut", to: "relu")
    let archive = try parts.read()
    let index = try #require(archive.network.layers.firstIndex { $0.name == "shortcut" })
    #expect(archive.network.layers[index + 1].kind is Layers.ReLU)
    #expect(archive.network.layers[index + 1].inputs == [index])
    #expect(archive.weights == Fixture.weights(archive.network))
  }

  @Test func aSoftmaxLayerJoinsTheDenseBeforeIt() throws {
    var parts = try Parts()
    try parts.set("activation", of: "dense_2", to: "linear")
    try parts.append(
      layer: "softmax", className: "Softmax", settings: ["axis": -1], after: "dense_2")
    let archive = try parts.read()
    #expect(archive.network == (try Parts().read()).network)
  }

  @Test func optimizersOtherThanAdamAreLeftOutWithANote() throws {
    var parts = try Parts()
    var root = try #require(parts.config.object)
    var compile = try #require(root["compile_config"]?.object)
    compile["optimizer"] = ["class_name": "SGD", "config": [:]]
    root["compile_config"] = .object(compile)
    parts.config = .object(root)
    let archive = try parts.read()
    #expect(archive.optimizer == nil)
    #expect(archive.info.notes.count == 1)
    #expect(archive.info.notes[0].contains("SGD"))
  }
}

extension Parts {
  /// A layer behind the last one, which becomes the output.
  mutating func append(
    layer name: String, className: String, settings: [String: JSONValue], after previous: String
  ) throws {
    var root = try #require(config.object)
    var model = try #require(root["config"]?.object)
    var settings = settings
    settings["name"] = .string(name)
    let tensor: JSONValue = [
      "class_name": "__keras_tensor__",
      "config": ["shape": [nil, 3], "keras_history": [.string(previous), 0, 0]],
    ]
    let record: JSONValue = [
      "class_name": .string(className), "name": .string(name), "config": .object(settings),
      "inbound_nodes": [["args": [tensor], "kwargs": [:]]],
    ]
    model["layers"] = .array((model["layers"]?.array ?? []) + [record])
    model["output_layers"] = [.string(name), 0, 0]
    root["config"] = .object(model)
    config = .object(root)
  }
}
