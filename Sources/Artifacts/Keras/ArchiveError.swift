import Networks

/// Why a `.keras` archive cannot be read or written. Messages name the file, what was found, what
/// was expected and what to do.
public enum ArchiveError: Error, Equatable, CustomStringConvertible {
  /// The file is missing, cannot be opened, or not be read to its end.
  case read(FileReadError)
  /// The file is not a Keras archive, or a damaged or hostile one.
  case badContent(path: String, part: String, found: String, expected: String)
  /// The file is whole, and something else than an archive of Keras 3; or it is one, of a model that
  /// is none of ours. `advice` says what to do about it.
  case foreign(path: String, found: String, expected: String, advice: String)
  /// A layer, or a setting of one, that our networks do not have.
  case unsupported(
    path: String, layer: String, setting: String, found: String, expected: String,
    advice: String = ArchiveError.ownLayersAlone)
  /// A variable is missing or has another shape than the configuration says.
  case weight(path: String, variable: String, found: String, expected: String)
  /// A variable has values that no training leaves.
  case impossibleValue(path: String, variable: String, found: String, expected: String)
  /// Larger than anything that we would read.
  case tooLarge(path: String, part: String, found: Int, limit: Int)
  /// The process that reads HDF5 crashed, was stopped at a limit or answered nonsense.
  case readerFailed(path: String, how: String)
  /// The process that reads HDF5 could not be started: nothing is known about the file.
  case readerUnavailable(helper: String, reason: String)
  /// The network and the values handed in for writing do not belong together.
  case mismatch(what: String, found: Int, expected: Int)
  case write(FileWriteError)

  /// What the fault means to a caller; the command's exit codes follow it.
  public enum Kind: Sendable, Hashable {
    /// 66: no such file, or no right to read it.
    case unreadable
    /// 65: the file's content is at fault.
    case badContent
    /// 70: a defect of ours or of the installation.
    case defect
    /// 73: the output cannot be created.
    case cannotCreate
    /// 74: reading failed midway, as on a damaged disk.
    case readFailed
    /// 74: writing failed midway, as on a full disk.
    case writeFailed
  }

  public var kind: Kind {
    switch self {
    case .read(.unreadable): .unreadable
    case .read(.failedMidway): .readFailed
    case .badContent, .foreign, .unsupported, .weight, .impossibleValue, .tooLarge,
      .readerFailed:
      .badContent
    case .readerUnavailable, .mismatch: .defect
    case .write(.cannotCreate): .cannotCreate
    case .write(.failedMidway): .writeFailed
    }
  }

  /// What to do about an intact model that is none of ours.
  public static let ownLayersAlone =
    "Only networks of the layers that semg-train knows can be read; use others in Keras."

  public var description: String {
    switch self {
    case .read(let error): error.description
    case .badContent(let path, let part, let found, let expected):
      "\(path): \(part): found \(found), expected \(expected). "
        + "The file is damaged or no Keras 3 archive: save it again with Keras's model.save()."
    case .foreign(let path, let found, let expected, let advice):
      "\(path): found \(found), expected \(expected). \(advice)"
    case .unsupported(let path, let layer, let setting, let found, let expected, let advice):
      "\(path): layer \(layer): \(setting) is \(found), expected \(expected). \(advice)"
    case .weight(let path, let variable, let found, let expected):
      "\(path): model.weights.h5: \(variable): found \(found), expected \(expected). "
        + "The weights do not belong to config.json: save the model again with Keras."
    case .impossibleValue(let path, let variable, let found, let expected):
      "\(path): model.weights.h5: \(variable): found \(found), expected \(expected). "
        + "No training leaves such weights, and no prediction follows from them: take an intact "
        + "copy, or train again."
    case .tooLarge(let path, let part, let found, let limit):
      "\(path): \(part) is \(found), the limit is \(limit). "
        + "No network of ours is that large, and the file may be made to exhaust memory."
    case .readerFailed(let path, let how):
      "\(path): model.weights.h5 cannot be read: the reading process \(how). "
        + "The file is damaged or hostile: take an intact copy or save it again with Keras."
    case .readerUnavailable(let helper, let reason):
      "The process that reads HDF5 files cannot be started from \(helper): \(reason). "
        + "Install semg-train again."
    case .mismatch(let what, let found, let expected):
      "Values for \(what): found \(found), expected \(expected) by the network. "
        + "This is a defect of semg-train."
    case .write(let error): error.description
    }
  }
}

extension ArchiveError {
  /// A layer of an archive that our layers do not have.
  init(_ error: LayerConfigError, path: String) {
    self = .unsupported(
      path: path, layer: error.layer, setting: error.setting, found: error.found,
      expected: error.expected, advice: error.advice ?? Self.ownLayersAlone)
  }

  /// Says in which archive a layer is that could not be read.
  static func naming<Result>(
    _ path: String, _ body: () throws(LayerConfigError) -> Result
  ) throws(ArchiveError) -> Result {
    do throws(LayerConfigError) {
      return try body()
    } catch {
      throw ArchiveError(error, path: path)
    }
  }
}
