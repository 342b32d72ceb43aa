import Foundation
import Networks

/// A file or directory that is neither a recording nor a model that we read, and that its content
/// tells by name: so that nobody is told of missing columns in a file that has none.
public struct ForeignFile: Sendable, Equatable {
  /// What it is, with an article.
  public let found: String
  /// What to do about it, as sentences.
  public let advice: String

  init(_ found: String, _ advice: String) {
    self.found = found
    self.advice = advice
  }

  /// Looks into a file or a directory; nil where it is nothing of a known kind, or what it may be:
  /// text, a Keras archive, a folder of files.
  public init?(at path: String) {
    var information = stat()
    guard stat(path, &information) == 0 else { return nil }
    switch information.st_mode & S_IFMT {
    case S_IFDIR: self.init(directory: path)
    case S_IFREG:
      guard let data = try? Data(contentsOf: URL(filePath: path), options: .mappedIfSafe) else {
        return nil
      }
      self.init(content: data)
    default: return nil
    }
  }

  /// Whether a file is a zip archive with what Keras keeps in one, whatever it is called.
  public static func isKerasArchive(_ path: String) -> Bool {
    guard let data = try? Data(contentsOf: URL(filePath: path), options: .mappedIfSafe),
      data.starts(with: Array("PK".utf8)), let zip = try? ZipReader(data, path: path)
    else { return false }
    return zip.contains("config.json")
  }

  // MARK: Directories

  private init?(directory: String) {
    let names = Set((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
    if names.contains("saved_model.pb") || names.contains("saved_model.pbtxt") {
      self.init("a model in TensorFlow's SavedModel format", Self.again)
    } else if names.isSuperset(of: ["config.json", "metadata.json"]),
      names.contains(where: { $0.hasPrefix("model.weights.") })
    {
      self.init(
        "an unzipped Keras archive",
        "Zip what is in it: (cd \(directory) && zip -r ../model.keras .), and take model.keras.")
    } else {
      return nil
    }
  }

  // MARK: Files

  private static let again =
    "In Keras 3 make the model again by the code that made it, give it these weights, and save it "
    + "with model.save(\"NAME.keras\")."
  private static let asCSV =
    "Recordings are CSV files: write it as one, a row per sample and a column per channel."

  /// - Parameter content: of the whole file.
  init?(content: Data) {
    if content.starts(with: Array("version https://git-lfs.github.com/spec".utf8)) {
      self.init(
        "a Git LFS pointer, which only names the file that belongs here",
        "Fetch that with: git lfs pull.")
    } else if let file = Self.hdf5(content) ?? Self.zip(content) ?? Self.json(content) {
      self = file
    } else if Self.isEDF(content) {
      self.init("an EDF file", Self.asCSV)
    } else if let kind = Self.signatures.first(where: { Self.has($0.bytes, at: $0.offset, content) }
    ) {
      self.init(kind.name, kind.isTable ? Self.asCSV : "Take another file.")
    } else {
      return nil
    }
  }

  private static func has(_ bytes: [UInt8], at offset: Int, _ content: Data) -> Bool {
    content.dropFirst(offset).starts(with: bytes)
  }

  private static func holds(_ text: String, _ content: Data) -> Bool {
    content.prefix(1 << 26).firstRange(of: Data(text.utf8)) != nil
  }

  /// HDF5 begins at the file's start, or behind a block of the user's own, such as MATLAB's.
  private static func hdf5(_ content: Data) -> ForeignFile? {
    let signature = Array("\u{89}HDF".unicodeScalars.map { UInt8($0.value) })
    guard [0, 512, 1_024, 2_048].contains(where: { has(signature, at: $0, content) }) else {
      return nil
    }
    if content.starts(with: Array("MATLAB".utf8)) {
      return ForeignFile("a MATLAB file (an HDF5 file)", asCSV)
    }
    if holds("model_config", content) {
      return ForeignFile(
        "a model in the legacy format of Keras 2 (.h5, an HDF5 file)",
        "Load it with keras.models.load_model(), and save it with model.save(\"NAME.keras\").")
    }
    let isOfKeras =
      holds("layer_names", content) || holds("weight_names", content)
      || holds("layers", content) && holds("vars", content)
    guard isOfKeras else { return ForeignFile("an HDF5 file", asCSV) }
    return ForeignFile(
      "weights alone, without their model (.weights.h5, an HDF5 file)",
      "In Keras 3 make the model by the code that made it, give it these weights with "
        + "load_weights(), and save it with model.save(\"NAME.keras\").")
  }

  private static func zip(_ content: Data) -> ForeignFile? {
    guard content.starts(with: Array("PK".utf8)),
      let zip = try? ZipReader(content, path: ""),
      !zip.contains("config.json"), !zip.contains("model.weights.h5")
    else { return nil }
    if zip.contains("[Content_Types].xml") { return ForeignFile("an Office file", asCSV) }
    if zip.names.contains(where: { $0.hasSuffix("data.pkl") }) {
      return ForeignFile("a PyTorch file", again)
    }
    if zip.names.contains(where: { $0.hasSuffix(".npy") }) {
      return ForeignFile("NumPy arrays (.npz)", asCSV)
    }
    if zip.names.contains(where: { $0.hasSuffix("/config.json") }) {
      return ForeignFile(
        "a zip archive with a Keras archive's files in a folder",
        "Unzip it, and zip the files themselves: (cd FOLDER && zip -r ../model.keras .).")
    }
    return ForeignFile("a zip archive, and none of Keras", "Unzip it, and take the files in it.")
  }

  private static func json(_ content: Data) -> ForeignFile? {
    let first = content.prefix(64).first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    guard first == UInt8(ascii: "{") || first == UInt8(ascii: "["),
      JSONValue.nestingDepth(of: content) <= ArchiveLimits().jsonDepth,
      let value = try? JSONDecoder().decode(JSONValue.self, from: content)
    else { return nil }
    let keys = Set(value.object?.keys ?? [:].keys)
    if keys.contains("weight_map") {
      return ForeignFile(
        "the list of weights that Keras saved in shards, without their model",
        "In Keras 3 make the model by the code that made it, give it these weights with "
          + "load_weights(), and save it with model.save(\"NAME.keras\").")
    }
    if keys.isSuperset(of: ["class_name", "config"]) {
      return ForeignFile(
        "the config.json of a Keras archive, without its weights",
        "Take the whole archive; where it was unzipped: (cd FOLDER && zip -r ../model.keras .).")
    }
    return ForeignFile("a JSON file", "Take another file.")
  }

  /// A header of fixed fields in plain text, the first of them the version, 0: no line ends in it, and
  /// no commas.
  private static func isEDF(_ content: Data) -> Bool {
    has(Array("0       ".utf8), at: 0, content) && content.count >= 256
      && content.prefix(256).allSatisfy { 32...126 ~= $0 && $0 != UInt8(ascii: ",") }
  }

  private struct Signature {
    let name: String
    let bytes: [UInt8]
    var offset = 0
    var isTable = true

    init(_ name: String, _ text: String, at offset: Int = 0, isTable: Bool = true) {
      self.name = name
      // Latin-1: a byte a character.
      bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
      self.offset = offset
      self.isTable = isTable
    }
  }

  private static let signatures = [
    Signature("a MATLAB file", "MATLAB 5.0 MAT-file"),
    Signature("a NumPy array (.npy)", "\u{93}NUMPY"),
    Signature("a BDF file", "\u{FF}BIOSEMI"),
    Signature("a Parquet file", "PAR1"),
    Signature("an Arrow file", "ARROW1"),
    Signature("an SQLite database", "SQLite format 3\u{0}"),
    Signature("a sound (WAV)", "RIFF"),
    Signature("an old Excel file", "\u{D0}\u{CF}\u{11}\u{E0}"),
    Signature("a pickled Python object", "\u{80}\u{02}"),
    Signature("a pickled Python object", "\u{80}\u{03}"),
    Signature("a pickled Python object", "\u{80}\u{04}"),
    Signature("a pickled Python object", "\u{80}\u{05}"),
    Signature("a file packed with gzip", "\u{1F}\u{8B}"),
    Signature("a file packed with bzip2", "BZh"),
    Signature("a file packed with xz", "\u{FD}7zXZ"),
    Signature("a file packed with zstd", "\u{28}\u{B5}\u{2F}\u{FD}"),
    Signature("a file packed with 7-Zip", "7z\u{BC}\u{AF}"),
    Signature("a tar archive", "ustar", at: 257),
    Signature("a TensorFlow Lite model", "TFL3", at: 4, isTable: false),
    Signature("a picture (PNG)", "\u{89}PNG", isTable: false),
    Signature("a picture (JPEG)", "\u{FF}\u{D8}\u{FF}", isTable: false),
    Signature("a PDF document", "%PDF", isTable: false),
    Signature("a program", "\u{7F}ELF", isTable: false),
    Signature("a web page", "<!DOCTYPE html", isTable: false),
    Signature("a web page", "<html", isTable: false),
  ]
}
