import Foundation

/// Small files of a run directory: JSON and CSV, whole or absent.
public enum RunFile {
  /// Writes JSON for people and programs: indented, keys sorted, names as the value's coding keys
  /// say.
  public static func write(json value: some Encodable, to path: String) throws(FileWriteError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    var data: Data
    do {
      data = try encoder.encode(value)
    } catch {
      throw .cannotCreate(path: path, reason: "a value is not a number (\(error))")
    }
    data.append(UInt8(ascii: "\n"))
    try AtomicFile.write(data, to: path)
  }

  public static func write(text: String, to path: String) throws(FileWriteError) {
    try AtomicFile.write(Data(text.utf8), to: path)
  }
}

/// `history.csv`: one line an epoch of each model, written anew, whole, after every epoch.
public struct TrainingHistory: Sendable, Equatable {
  public struct Epoch: Sendable, Equatable {
    /// `inception-se` or `semg-net`.
    public var model: String
    /// Counted from 1.
    public var epoch: Int
    public var loss, accuracy, validationLoss, validationAccuracy: Double
    /// Of the epoch's last step.
    public var learningRate: Double
    public var seconds: Double

    public init(
      model: String, epoch: Int, loss: Double, accuracy: Double, validationLoss: Double,
      validationAccuracy: Double, learningRate: Double, seconds: Double
    ) {
      self.model = model
      self.epoch = epoch
      self.loss = loss
      self.accuracy = accuracy
      self.validationLoss = validationLoss
      self.validationAccuracy = validationAccuracy
      self.learningRate = learningRate
      self.seconds = seconds
    }
  }

  public var epochs: [Epoch]

  public init(epochs: [Epoch] = []) { self.epochs = epochs }

  public static let header =
    "model,epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate,seconds"

  public var csv: String {
    var text = Self.header + "\n"
    for row in epochs {
      let values = [
        row.loss, row.accuracy, row.validationLoss, row.validationAccuracy, row.learningRate,
      ]
      let numbers = values.map { "\(Float($0))" } + ["\((row.seconds * 10).rounded() / 10)"]
      text += "\(row.model),\(row.epoch),\(numbers.joined(separator: ","))\n"
    }
    return text
  }
}
