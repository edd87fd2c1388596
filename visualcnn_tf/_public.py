"""The public names that need TensorFlow, each from its own module; ``visualcnn_tf`` offers them all.

Importing this module registers every layer and model class of the package with Keras.
"""

from visualcnn_tf import errors as errors
from visualcnn_tf import methods as methods
from visualcnn_tf import targets as targets
from visualcnn_tf._attach import attach as attach
from visualcnn_tf._model import ExplainedModel as ExplainedModel
from visualcnn_tf.compat.visualizer import Visualizer as Visualizer
from visualcnn_tf.data.explain_dataset import explain_dataset as explain_dataset
from visualcnn_tf.data.explainer import BatchExplainer as BatchExplainer
from visualcnn_tf.data.read_maps import read_maps as read_maps
from visualcnn_tf.data.report import BatchReport as BatchReport
from visualcnn_tf.export.saved_model import export_saved_model as export_saved_model
from visualcnn_tf.export.tflite import export_tflite as export_tflite
from visualcnn_tf.graphs.load import load_graph as load_graph
from visualcnn_tf.heatmap.layer import FeatureMapFusion as FeatureMapFusion
from visualcnn_tf.introspect.tokens.grid import TokenGrid as TokenGrid
from visualcnn_tf.pipeline.tap import Tap as Tap
from visualcnn_tf.pixels.files import read_pixels as read_pixels
from visualcnn_tf.pixels.pixels import Pixels as Pixels
from visualcnn_tf.render.blur import blur_by_importance as blur_by_importance
from visualcnn_tf.render.colormaps import COLORMAPS as COLORMAPS
from visualcnn_tf.render.layers import BlurByImportance as BlurByImportance
from visualcnn_tf.render.layers import Colorize as Colorize
from visualcnn_tf.render.layers import Overlay as Overlay
from visualcnn_tf.render.overlay import colorize as colorize
from visualcnn_tf.render.overlay import overlay as overlay
from visualcnn_tf.sampling.drise import drise as drise
from visualcnn_tf.training.callback import HeatmapCallback as HeatmapCallback
from visualcnn_tf.viz.explained_photo import ExplainedPhoto as ExplainedPhoto
from visualcnn_tf.viz.figures import plot_heatmaps as plot_heatmaps
from visualcnn_tf.viz.figures import plot_pages as plot_pages
from visualcnn_tf.viz.photo_pages import PhotoPages as PhotoPages
from visualcnn_tf.viz.photos import explain_photos as explain_photos
