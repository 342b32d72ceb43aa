import CHDF5
import Foundation
import Networks
import TestSupport
import Testing

@testable import Artifacts

/// Archives of people who do this job: those that are right predict what Keras predicts, all others
/// are refused by the name of what they are, and none that is intact is called damaged.
@Suite(.enabled(if: SharedData.hasCases, "no cases at \(SharedData.cases.path)"))
struct CaseTests {
  private static func path(_ name: String) -> String {
    SharedData.cases.appending(path: "archives/\(name)").path
  }

  @Test(arguments: [
    "renamed-layers", "mixed-float16", "torch-backend", "ema-checkpoint", "frozen-adamw",
    "nested-model", "SE-without-reshape", "keras-3.3-adam-string",
  ])
  func archivesThatAreRightPredictWhatKerasPredicts(name: String) throws {
    let archive = try KerasArchive.read(Self.path("\(name).keras"))
    let windows = try NumpyArray(Self.path("windows.npy"))
    let theirs = try NumpyArray(Self.path("\(name).npy"))
    #expect(windows.shape == [30, 204, 8] && theirs.shape == [30, 5])
    let ours = try referencePredictions(
      archive.network, archive.weights, batch: 30, windows: windows.values.map(Float.init))
    // Keras computes a mixed_float16 model in halves, of eleven bits; we run its weights in full.
    let bound = name == "mixed-float16" ? 1e-3 : 1e-5
    let largest = zip(ours.joined(), theirs.values).map { abs($0 - $1) }.max() ?? .infinity
    #expect(largest < bound)
    #expect(ours.joined().count == theirs.values.count)
  }

  @Test func anOptimizerThatIsNamedKeepsItsState() throws {
    let archive = try KerasArchive.read(Self.path("keras-3.3-adam-string.keras"))
    #expect(archive.info.notes == [])
    #expect((archive.optimizer?.iterations ?? 0) > 0)
    #expect(archive.info.training?.learningRate == .constant(1e-3))
  }

  @Test(arguments: [
    ("own-class-named-Conv1D.keras", "emg>Conv1D, which is none of Keras's own"),
    ("cast-to-int.keras", "dtype is int32, expected float32"),
    ("logits-output.keras", "has no softmax"), ("logits-output.keras", "keras.layers.Softmax()"),
    ("keras2-archive.keras", "saved by Keras 2.x: load it there, and save it with Keras 3"),
    ("legacy-h5.h5", "a model in the legacy format of Keras 2"),
    ("legacy-h5.h5", "keras.models.load_model()"),
    ("weights-only.weights.h5", "weights alone, without their model"),
    ("weights-only.weights.h5", "load_weights()"),
  ])
  func allOthersAreRefusedByNameWithWhatToDo(file: String, words: String) {
    let error = archiveError { () throws(ArchiveError) in try KerasArchive.read(Self.path(file)) }
    let text = error?.description ?? "no error"
    #expect(error?.kind == .badContent)
    #expect(text.contains(words), "\(text)")
    #expect(text.contains(file) && !text.contains("damaged"), "\(text)")
  }
}

/// The same by archives of ours, changed as others' are.
@Suite struct ForeignArchiveTests {
  private func refusal(_ parts: Parts) -> String {
    let error = archiveError { () throws(ArchiveError) in try parts.read() }
    #expect(error?.kind == .badContent)
    return error?.description ?? "no error"
  }

  @Test(arguments: [
    ("emg.layers", "Activation"), ("keras_cv.layers", "Activation"),
    ("keras.layers", "emg>Activation"),
    ("__main__", "Activation"),
  ])
  func aClassOfSomebodysOwnIsNotTakenForKerass(module: String, registered: String) throws {
    var parts = try Parts()
    try parts.edit(layer: "activation") {
      $0["module"] = .string(module)
      $0["registered_name"] = .string(registered)
    }
    let text = refusal(parts)
    #expect(text.contains("which is none of Keras's own"), "\(text)")
    #expect(text.contains(registered) && !text.contains("damaged"), "\(text)")
  }

  @Test(arguments: ["int32", "bool", "uint8", "float8_e4m3fn"])
  func aCastThatTakesAwayMoreThanDigitsIsRefused(type: String) throws {
    var parts = try Parts()
    try parts.set("activation", of: "dense_2", to: "linear")
    try parts.append(
      layer: "cast", className: "Cast", settings: ["dtype": .string(type)], after: "dense_2")
    let text = refusal(parts)
    #expect(text.contains("cast (Cast): dtype is \(type)"), "\(text)")
  }

  @Test func aFunctionThatPairsOtherAxesIsNotTakenForALayer() throws {
    var parts = try Parts()
    try parts.edit(layer: "multiply") {
      $0["module"] = "keras.src.ops.nn"
      $0["class_name"] = "Sigmoid"
      $0["registered_name"] = "Sigmoid"
    }
    #expect(refusal(parts).contains("the function Sigmoid of keras.ops"))
  }

  @Test(
    arguments: [
      (["class_name": "QuantizedDTypePolicy", "config": ["mode": "int8"]], "int8"),
      (["class_name": "Int4DTypePolicy", "config": ["mode": "int4"]], "int4"),
      (["class_name": "QuantizedFloat8DTypePolicy", "config": ["mode": "float8"]], "float8"),
      ("int8_from_float32", "int8"),
    ] as [(JSONValue, String)])
  func quantizedLayersAreNamedWithWhatToDo(policy: JSONValue, mode: String) throws {
    var parts = try Parts()
    try parts.set("dtype", of: "dense_2", to: policy)
    let text = refusal(parts)
    #expect(text.contains("dtype is quantized to \(mode)"), "\(text)")
    #expect(text.contains("before quantize()") && !text.contains("{"), "\(text)")
  }

  @Test func adaptersAreNamedWithWhatToDo() throws {
    var parts = try Parts()
    try parts.set("lora_rank", of: "dense_2", to: 4)
    try parts.set("lora_alpha", of: "dense_2", to: 2)
    let text = refusal(parts)
    #expect(text.contains("LoRA") && text.contains("without enable_lora()"), "\(text)")
  }

  @Test func modelsWithDictionariesOrWrittenAsCodeAreIntact() throws {
    var parts = try Parts()
    var root = try #require(parts.config.object)
    var model = try #require(root["config"]?.object)
    let whole = root
    model["input_layers"] = ["emg": ["signal", 0, 0]]
    root["config"] = .object(model)
    parts.config = .object(root)
    var text = refusal(parts)
    #expect(
      text.contains("input_layers") && text.contains("layers that semg-train knows"), "\(text)")
    #expect(!text.contains("damaged"))
    root = whole
    root["class_name"] = "Recognizer"
    root["module"] = .null
    root["registered_name"] = "emg>Recognizer"
    parts.config = .object(root)
    text = refusal(parts)
    #expect(text.contains("the class emg>Recognizer, written as code"), "\(text)")
    #expect(text.contains("layers that semg-train knows") && !text.contains("damaged"), "\(text)")
  }

  /// A linear layer between, that nothing but one of two readers sees.
  @Test func aSoftmaxBehindALinearLayerThatOthersReadIsRefused() throws {
    var parts = try Parts()
    try parts.set("activation", of: "dense_2", to: "linear")
    try parts.append(
      layer: "same", className: "Activation", settings: ["activation": "linear"], after: "dense_2")
    try parts.append(
      layer: "softmax", className: "Softmax", settings: ["axis": -1], after: "same")
    #expect(try parts.read().network == (try Parts().read()).network)
    try parts.append(
      layer: "again", className: "Dropout", settings: ["rate": 0], after: "dense_2")
    #expect(!refusal(parts).contains("damaged"))
  }

  @Test(arguments: [
    ("layers/batch_normalization/vars/3", Float(-1), "a variance of -1.0"),
    ("layers/dense/vars/0", 3.4e38, "numbers up to"), ("layers/dense/vars/0", .nan, "NaN"),
    ("layers/dense/vars/1", -.infinity, "NaN or infinity"),
  ])
  func weightsThatNoTrainingLeavesAreRefused(path: String, value: Float, words: String) throws {
    var parts = try Parts()
    try parts.editWeights { file in try Parts.set(first: value, of: path, in: file) }
    let text = refusal(parts)
    #expect(text.contains(words) && text.contains("No training leaves"), "\(text)")
  }

  @Test func filesOfOtherKindsAreNamedByTheirContent() throws {
    let folder = try TemporaryFolder()
    let parts = try Parts()
    let config = try parts.config.encoded()
    let shards = #"{"metadata": {"total_size": 1}, "weight_map": {"/layers/x/vars": ["a_0.h5"]}}"#
    for (content, words) in [
      (
        Data("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n".utf8),
        "git lfs pull"
      ),
      (Data(shards.utf8), "in shards"), (config, "config.json of a Keras archive"),
      (Data([0x93] + Array("NUMPY".utf8)), "a NumPy array"),
      (Data([0x1F, 0x8B, 8, 0]), "packed with gzip"), (Data("%PDF-1.7".utf8), "a PDF document"),
      (try ZipWriter.archive([("a/config.json", config)]), "in a folder"),
      (try ZipWriter.archive([("x/data.pkl", config)]), "a PyTorch file"),
      (try ZipWriter.archive([("[Content_Types].xml", config)]), "an Office file"),
    ] {
      let path = folder.file("x.keras")
      try content.write(to: URL(filePath: path))
      let error = archiveError { () throws(ArchiveError) in try KerasArchive.read(path) }
      let text = error?.description ?? "no error"
      #expect(error?.kind == .badContent)
      #expect(text.contains(words) && !text.contains("damaged"), "\(text)")
      let file = try #require(ForeignFile(at: path))
      #expect(text.contains(file.found) && text.contains(file.advice))
      #expect(!ForeignFile.isKerasArchive(path))
    }
    for text in ["1,2,3\n4,5,6\n", "ch1;ch2\n1;2\n", "0       ,1\n", "", "[1,2]x"] {
      try Data(text.utf8).write(to: URL(filePath: folder.file("x.csv")))
      #expect(ForeignFile(at: folder.file("x.csv")) == nil, "\(text)")
    }
    try parts.archive().write(to: URL(filePath: folder.file("x.zip")))
    #expect(ForeignFile(at: folder.file("x.zip")) == nil)
    #expect(ForeignFile.isKerasArchive(folder.file("x.zip")))
  }

  @Test func directoriesThatHoldOneModelAreNamed() throws {
    let folder = try TemporaryFolder()
    #expect(ForeignFile(at: folder.path) == nil)
    for name in ["config.json", "metadata.json", "model.weights.h5"] {
      try Data().write(to: URL(filePath: folder.file(name)))
    }
    #expect(ForeignFile(at: folder.path)?.found == "an unzipped Keras archive")
    try Data().write(to: URL(filePath: folder.file("saved_model.pb")))
    #expect(ForeignFile(at: folder.path)?.found.contains("SavedModel") == true)
  }
}

extension Parts {
  /// Changes a dataset's first value.
  static func set(first value: Float, of path: String, in file: hid_t) throws {
    let set = H5Dopen2(file, path, 0)
    try #require(set >= 0)
    defer { H5Dclose(set) }
    let space = H5Dget_space(set)
    defer { H5Sclose(space) }
    var values = [Float](repeating: 0, count: Int(H5Sget_simple_extent_npoints(space)))
    let type = semg_H5T_NATIVE_FLOAT()
    try #require(H5Dread(set, type, semg_H5S_ALL(), semg_H5S_ALL(), 0, &values) >= 0)
    values[0] = value
    try #require(H5Dwrite(set, type, semg_H5S_ALL(), semg_H5S_ALL(), 0, values) >= 0)
  }
}
